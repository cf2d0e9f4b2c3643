import { PARTS } from '#platform/service';
import { runService } from '#platform/run-service';

void runService('keytrail', PARTS);
