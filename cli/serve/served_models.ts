/** The models that a server has, by the names that clients use. */

import { UsageError } from "../../engine/errors.ts";
import type { Gpu } from "../../engine/gpu/gpu.ts";
import type { Chat } from "../../engine/text/chat.ts";
import type { Tokenizer } from "../../engine/text/tokenizer.ts";
import type { Transformer } from "../../engine/transformer.ts";
import { warmUpGeneration } from "../../engine/warm_up.ts";
import { findChat, stopIds } from "../../models/chat.ts";
import {
  type LoadedModel,
  loadFinetuned,
  loadModel,
  type LoadOptions,
  loadTokenizer,
} from "../../models/load_model.ts";
import type { ModelSource } from "../../models/source.ts";
import { visible } from "../visible.ts";
import { ApiError } from "./api_error.ts";

/** What the first request will be like: the API's defaults, and a short question. */
const LIKELY = { promptTokens: 64, sampling: { temperature: 1, seed: 0 } };

/** A model under one name. */
export interface ServedModel {
  id: string;
  /** The name of the base that an adapter is on. */
  parent?: string;
  transformer: Transformer;
  tokenizer: Tokenizer;
  /** How it writes chats, where it has a template. */
  chat?: Chat;
  /** Tokens that end a text, and an answer in a chat. */
  stopIds: { text: ReadonlySet<number>; chat: ReadonlySet<number> };
}

/** A base and adapters on it, which share its weights. */
export class ServedModels {
  /** When they were loaded, in seconds. */
  readonly created = Math.floor(Date.now() / 1000);
  readonly #byId: Map<string, ServedModel>;

  private constructor(readonly gpu: Gpu, models: readonly ServedModel[]) {
    this.#byId = new Map(models.map((model) => [model.id, model]));
  }

  /**
   * Loads them.
   *
   * @throws {UsageError} if two have one name, or an adapter is none
   * @throws {ModelError} if one cannot be loaded
   */
  static async load(
    gpu: Gpu,
    source: ModelSource,
    adapters: readonly ModelSource[],
    options: LoadOptions,
  ): Promise<ServedModels> {
    const names = [source, ...adapters].map(({ name }) => name);
    const twice = names.find((name, i) => names.indexOf(name) < i);
    if (twice !== undefined) {
      throw new UsageError(
        `Cannot serve two models by the name "${visible(twice)}": rename a folder`,
      );
    }
    for (const { kind, ref } of adapters) {
      if (kind === "adapter") continue;
      throw new UsageError(
        `Cannot serve "${
          visible(ref)
        }" as an adapter: it is a whole checkpoint, to be served with --model`,
      );
    }
    const planned = (model: Transformer) => warmUpGeneration(model, LIKELY);
    const base = await loadModel(gpu, source, { planned, ...options });
    const tokenizer = await loadTokenizer(source, base.transformer.spec);
    const models = [await served(base, [source], tokenizer)];
    for (const adapter of adapters) {
      const tuned = await loadFinetuned(gpu, base, adapter, { signal: options.signal });
      models.push(await served(tuned, [adapter, source], tokenizer));
    }
    return new ServedModels(gpu, models);
  }

  /** The base. */
  get base(): ServedModel {
    return this.all()[0];
  }

  /** The base first, then the adapters in their order. */
  all(): ServedModel[] {
    return [...this.#byId.values()];
  }

  /**
   * The model of a name.
   *
   * @throws {ApiError} 404 if there is none
   */
  find(id: string): ServedModel {
    const model = this.#byId.get(id);
    if (model) return model;
    const known = this.all().map(({ id }) => `"${id}"`).join(", ");
    throw new ApiError(
      404,
      `There is no model ${JSON.stringify(id.slice(0, 80))} here: it is one of ${known}`,
      { param: "model", code: "model_not_found" },
    );
  }

  /** `GET /v1/models`. */
  list() {
    return { object: "list", data: this.all().map((model) => this.describe(model)) };
  }

  /** `GET /v1/models/ID`. */
  describe({ id, parent, transformer }: ServedModel) {
    return {
      id,
      object: "model",
      created: this.created,
      owned_by: "palimpsest",
      parent: parent ?? null,
      max_model_len: transformer.spec.maxPositions,
      precision: this.gpu.precision,
    };
  }
}

/** @param sources of the model and what it is on: an adapter may bring a chat template to a base without */
async function served(
  { transformer, source }: LoadedModel,
  sources: readonly ModelSource[],
  tokenizer: Tokenizer,
): Promise<ServedModel> {
  const ends = async (chat: boolean) => {
    const sets = await Promise.all(sources.map((one) => stopIds(one, tokenizer, { chat })));
    return new Set(sets.flatMap((set) => [...set]));
  };
  return {
    id: source.name,
    parent: sources[1]?.name,
    transformer,
    tokenizer,
    chat: await findChat(sources, tokenizer),
    stopIds: { text: await ends(false), chat: await ends(true) },
  };
}
