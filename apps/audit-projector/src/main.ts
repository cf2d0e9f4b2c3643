import { runService } from '#platform/run-service';

void runService('audit-projector', ['audit-projector']);
