import model from '../fixtures/kms-model.json';

/** A shape of AWS's model, as far as requests go: its bounds, no prose. */
export interface Shape {
  type: 'string' | 'integer' | 'boolean' | 'timestamp' | 'blob' | 'list' | 'map' | 'structure';
  min?: number;
  max?: number;
  pattern?: string;
  enum?: string[];
  sensitive?: boolean;
  /** Of a list: the name of its items' shape. */
  member?: string;
  /** Of a structure: the names of its members' shapes. */
  members?: Record<string, string>;
  required?: string[];
}

export interface ModelledOperation {
  input: { members: Record<string, string>; required: string[] };
  /** The errors that it declares. */
  errors: string[];
  /** That its bounds are not known: the model does not have it, only the SDK. */
  ofSdkOnly?: boolean;
}

export interface KmsModel {
  operations: Record<string, ModelledOperation>;
  shapes: Record<string, Shape>;
}

/** What AWS's model says of the operations of KMS; made by scripts/kms-model. */
export const KMS_MODEL = model as KmsModel;
