import * as sdk from '@aws-sdk/client-kms';

/** The code of a refusal and, where there is one to hold against it, its message; `ok` for what is done. */
export interface Outcome {
  code: string;
  message?: string;
}

export const OK: Outcome = { code: 'ok' };

/** What is sent, as the SDK has it: bytes are bytes. */
export type Input = Record<string, unknown>;
export type Reply = Record<string, unknown>;

type Commands = Record<string, new (input: Input) => Parameters<sdk.KMSClient['send']>[0]>;

/** Sends one operation by its name, with the command that the SDK has for it. */
export const send = async (kms: sdk.KMSClient, operation: string, input: Input): Promise<Reply> =>
  (await kms.send(new (sdk as unknown as Commands)[`${operation}Command`]!(input))) as unknown as Reply;

/** What it comes to. Anything but an answer of the server is no outcome, and thrown. */
export async function outcomeOf(kms: sdk.KMSClient, operation: string, input: Input): Promise<Outcome> {
  try {
    await send(kms, operation, input);
    return OK;
  } catch (error) {
    if (!(error instanceof sdk.KMSServiceException)) throw error;
    return { code: error.name, message: error.message };
  }
}

/** Outcomes by what was asked for, beside what is expected of each; a message is looked at where one is expected. */
export class Outcomes {
  private readonly found: Record<string, Outcome> = {};
  private readonly expected: Record<string, Outcome> = {};
  private readonly asked: Promise<void>[] = [];

  constructor(private readonly kms: sdk.KMSClient) {}

  /** To be waited for only where the next call is to come after it. */
  ask(what: string, operation: string, input: Input, expected: Outcome): Promise<void> {
    const answered = this.answer(what, operation, input, expected);
    this.asked.push(answered);
    return answered;
  }

  private async answer(what: string, operation: string, input: Input, expected: Outcome): Promise<void> {
    this.expected[what] = expected;
    const { code, message } = await outcomeOf(this.kms, operation, input);
    const isMessageKnown = expected.message !== undefined || expected.code !== code;
    this.found[what] = { code, ...(isMessageKnown && message !== undefined && { message }) };
  }

  /** Once all is answered. Something is to be asked for. */
  async check(): Promise<void> {
    await Promise.all(this.asked);
    expect(this.asked).not.toHaveLength(0);
    expect(this.found).toEqual(this.expected);
  }
}
