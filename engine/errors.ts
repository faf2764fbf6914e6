/**
 * The errors of the engine and of everything above it.
 *
 * A message is in sentence case, has no final period, and says what was attempted, the offending value and the way
 * out. The CLI prints the message alone and shows a stack trace only with `--debug`.
 */

/** Base of every error that palimpsest raises on purpose; anything else is a bug. */
export class PalimpsestError extends Error {
  override name: string = "PalimpsestError";
}

/** A file of weights is malformed, or a tensor in it is not what was asked for. */
export class WeightsError extends PalimpsestError {
  override name = "WeightsError";
}

/** A model cannot be built: its config, its architecture, or an adapter that does not fit it. */
export class ModelError extends PalimpsestError {
  override name = "ModelError";
}

/** The Hugging Face Hub: it cannot be reached, refuses, or does not have what was asked for; or its local cache does not. */
export class HubError extends PalimpsestError {
  override name = "HubError";
}

/** A tokenizer is missing, malformed, or disagrees with its model. */
export class TokenizerError extends PalimpsestError {
  override name = "TokenizerError";
}

/** A text dataset is missing, malformed, or has nothing that can be used. */
export class TextError extends PalimpsestError {
  override name = "TextError";
}

/** A server of language or embedding models: it cannot be reached, refuses, or answers something that cannot be used. */
export class EndpointError extends PalimpsestError {
  override name = "EndpointError";
}

/** The GPU: no adapter, a lost device, a shader that does not compile, a limit that is too small. */
export class DeviceError extends PalimpsestError {
  override name = "DeviceError";
}

/** The GPU or the memory budget is too small for what was asked. */
export class OutOfMemoryError extends DeviceError {
  override name = "OutOfMemoryError";
}

/** A results folder cannot be written, read, or belongs to another run. */
export class ResultsError extends PalimpsestError {
  override name = "ResultsError";
}

/** A grader cannot judge: its server fails or refuses, or what it answers is not of the form that was asked for. */
export class GraderError extends PalimpsestError {
  override name = "GraderError";
}

/** The command line or a request is wrong: an unknown flag, a value out of its range. */
export class UsageError extends PalimpsestError {
  override name = "UsageError";
}

/** The user interrupted the work; what was finished is kept. */
export class InterruptedError extends PalimpsestError {
  override name = "InterruptedError";
}
