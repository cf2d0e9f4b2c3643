import { runService } from '#platform/run-service';

void runService('crypto-worker', ['crypto-worker']);
