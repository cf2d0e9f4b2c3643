import { runService } from '#platform/run-service';

void runService('key-manager', ['key-manager']);
