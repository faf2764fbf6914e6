/** Errors as OpenAI's API tells them: a status, and `{error: {message, type, param, code}}`. */

import {
  DeviceError,
  InterruptedError,
  ModelError,
  OutOfMemoryError,
  PalimpsestError,
  TokenizerError,
  UsageError,
} from "../../engine/errors.ts";

/** What an error says besides its message. */
export interface ApiErrorDetails {
  /** The field of the request that is wrong. */
  param?: string;
  code?: string;
  headers?: Record<string, string>;
}

/** An error that a client is told. */
export class ApiError extends PalimpsestError {
  override name = "ApiError";

  constructor(
    readonly status: number,
    message: string,
    readonly details: ApiErrorDetails = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** The body that goes with the status; the same is the last event of a stream that fails. */
  body(): { error: Record<string, string | null> } {
    const { param = null, code = null } = this.details;
    return { error: { message: this.message, type: typeOf(this.status), param, code } };
  }
}

function typeOf(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 404) return "not_found_error";
  if (status === 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}

/** What a client is told of any error. What is not meant for clients stays here. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const made = (status: number, code?: string) =>
    new ApiError(status, (error as Error).message, { code }, { cause: error });
  if (error instanceof UsageError || error instanceof TokenizerError) return made(400);
  if (error instanceof OutOfMemoryError) return made(503, "out_of_memory");
  if (error instanceof DeviceError) return made(503, "device_lost");
  if (error instanceof InterruptedError) return made(503, "shutting_down");
  if (error instanceof ModelError) return made(500, "model_error");
  return new ApiError(500, "The server failed; its log says how", {}, { cause: error });
}

/** Whether the device is gone, so that nothing will work any more. */
export function isFatal(error: unknown): boolean {
  const cause = error instanceof ApiError ? error.cause : error;
  return cause instanceof DeviceError && !(cause instanceof OutOfMemoryError);
}
