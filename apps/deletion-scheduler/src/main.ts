import { runService } from '#platform/run-service';

void runService('deletion-scheduler', ['deletion-scheduler']);
