import { describeMaterialStore } from './material-store.suite';
import { MemoryMaterialStore } from './memory-material-store';

describeMaterialStore('memory', async () => new MemoryMaterialStore());
