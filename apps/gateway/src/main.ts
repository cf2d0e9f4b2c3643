import { runService } from '#platform/run-service';

void runService('gateway', ['gateway']);
