import type { KeyObject } from 'node:crypto';
import type { SealedScope } from '../recording/sealing-keys';
import type { KeysToUnseal } from './remembered-keys';
import type { KeyAnswer, KeyQuestion } from './thread-messages';

/** The main thread could not get a key, and knows why. */
class KeysOutOfReachError extends Error {
  override readonly name = 'KeysOutOfReachError';
}

interface Asking {
  resolve(key: KeyObject | undefined): void;
  reject(error: Error): void;
}

/** Keys to unseal records with, each asked of the main thread. */
export class ThreadKeys implements KeysToUnseal {
  private readonly asking = new Map<number, Asking>();
  private asked = 0;

  constructor(private readonly ask: (question: KeyQuestion) => void) {}

  toUnseal(scope: SealedScope): Promise<KeyObject | undefined> {
    const asked = ++this.asked;
    return new Promise((resolve, reject) => {
      this.asking.set(asked, { resolve, reject });
      this.ask({ asked, scope });
    });
  }

  take({ asked, key, failed }: KeyAnswer): void {
    const asking = this.asking.get(asked);
    this.asking.delete(asked);
    if (failed) asking?.reject(new KeysOutOfReachError('a key to read records with cannot be asked for now'));
    else asking?.resolve(key);
  }
}
