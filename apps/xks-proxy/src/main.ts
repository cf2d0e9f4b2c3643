import { runXksProxy } from '#platform/xks-proxy/run-xks-proxy';

void runXksProxy(process.argv.slice(2));
