import { runService } from '#platform/run-service';

void runService('rotation-scheduler', ['rotation-scheduler']);
