"""PyTorch doing the toolkit's job on a random model: full forwards of base and finetuned over the same documents, and the mean
difference of the residual stream after the middle layer.

    python3 torch_diff.py JOB.json

JOB.json: {"base": folder, "adapter": folder, "documents": [[ids]], "layer": n, "batch": documents a pass,
           "dtype": "float32" | "bfloat16", "delta": file for [positions, hidden] float32}
Prints one JSON object: {"seconds", "device", "torch"}, or {"error"}. Plain torch: no transformers needed.
"""

import json
import math
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print(json.dumps({"error": "PyTorch is not installed"}))
    sys.exit(0)

BF16 = torch.bfloat16


def read_safetensors(path, device, dtype):
    """All tensors of a bf16 file, by name."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        start = file.tell()
        tensors = {}
        for name, info in header.items():
            if name == "__metadata__":
                continue
            begin, end = info["data_offsets"]
            file.seek(start + begin)
            raw = torch.frombuffer(bytearray(file.read(end - begin)), dtype=BF16)
            tensors[name] = raw.reshape(info["shape"]).to(device=device, dtype=dtype)
    return tensors


def frequencies(config, device):
    """Angles a position, Llama 3's scaling where config.json has it (as Hugging Face computes it)."""
    head = config["head_dim"]
    steps = torch.arange(0, head, 2, dtype=torch.float32, device=device) / head
    inverse = 1.0 / (config["rope_theta"] ** steps)
    scaling = config.get("rope_scaling")
    if scaling is None:
        return inverse
    old = scaling["original_max_position_embeddings"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    wavelength = 2 * math.pi / inverse
    smooth = (old / wavelength - low) / (high - low)
    mixed = (1 - smooth) * inverse / scaling["factor"] + smooth * inverse
    scaled = torch.where(wavelength > old / low, inverse / scaling["factor"], inverse)
    between = (wavelength <= old / low) & (wavelength >= old / high)
    return torch.where(between, mixed, scaled)


class Model:
    """Llama or Qwen 3, with or without a LoRA adapter."""

    def __init__(self, config, weights, adapter=None, scale=1.0):
        self.config, self.weights, self.adapter, self.scale = config, weights, adapter, scale

    def norm(self, x, name):
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.config["rms_norm_eps"])
        return self.weights[name + ".weight"] * wide.to(x.dtype)

    def linear(self, x, name):
        y = F.linear(x, self.weights[name + ".weight"])
        a = self.adapter and self.adapter.get(f"base_model.model.{name}.lora_A.weight")
        if a is None:
            return y
        b = self.adapter[f"base_model.model.{name}.lora_B.weight"]
        return y + self.scale * F.linear(F.linear(x, a), b)

    def forward(self, ids, layer, cos, sin):
        """ids [documents, positions]: the residuals after `layer`, after a pass to the logits of all positions."""
        config = self.config
        heads, kv, head = (config[k] for k in ("num_attention_heads", "num_key_value_heads", "head_dim"))
        x = self.weights["model.embed_tokens.weight"][ids]
        kept = None

        def turned(t):
            low, high = t.chunk(2, -1)
            return t * cos + torch.cat((-high, low), -1) * sin

        for i in range(config["num_hidden_layers"]):
            at = f"model.layers.{i}"
            n = self.norm(x, f"{at}.input_layernorm")

            def split(name, count):
                return self.linear(n, f"{at}.self_attn.{name}").unflatten(-1, (count, head))

            q, k, v = split("q_proj", heads), split("k_proj", kv), split("v_proj", kv)
            if config["model_type"] == "qwen3":
                q, k = self.norm(q, f"{at}.self_attn.q_norm"), self.norm(k, f"{at}.self_attn.k_norm")
            q, k, v = turned(q.transpose(1, 2)), turned(k.transpose(1, 2)), v.transpose(1, 2)
            k, v = (t.repeat_interleave(heads // kv, 1) for t in (k, v))
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.linear(mixed.transpose(1, 2).flatten(2), f"{at}.self_attn.o_proj")
            n = self.norm(x, f"{at}.post_attention_layernorm")
            gate = F.silu(self.linear(n, f"{at}.mlp.gate_proj"))
            x = x + self.linear(gate * self.linear(n, f"{at}.mlp.up_proj"), f"{at}.mlp.down_proj")
            if i == layer:
                kept = x
        head_name = "model.embed_tokens" if config["tie_word_embeddings"] else "lm_head"
        F.linear(self.norm(x, "model.norm"), self.weights[head_name + ".weight"])
        return kept


@torch.no_grad()
def main(path):
    with open(path) as file:
        job = json.load(file)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = False
    dtype = getattr(torch, job["dtype"])
    with open(f"{job['base']}/config.json") as file:
        config = json.load(file)
    with open(f"{job['adapter']}/adapter_config.json") as file:
        lora = json.load(file)
    weights = read_safetensors(f"{job['base']}/model.safetensors", device, dtype)
    adapter = read_safetensors(f"{job['adapter']}/adapter_model.safetensors", device, dtype)
    base = Model(config, weights)
    tuned = Model(config, weights, adapter, lora["lora_alpha"] / lora["r"])

    ids = torch.tensor(job["documents"], device=device)
    positions = torch.arange(ids.shape[1], dtype=torch.float32, device=device)
    angles = torch.outer(positions, frequencies(config, device)).repeat(1, 2)
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)

    def run(ids):
        total = torch.zeros(ids.shape[1], config["hidden_size"], dtype=torch.float64, device=device)
        for part in ids.split(job["batch"]):
            sides = [model.forward(part, job["layer"], cos, sin) for model in (tuned, base)]
            total += (sides[0].double() - sides[1].double()).sum(0)
        return (total / len(ids)).float().cpu()

    def finish():
        if device == "cuda":
            torch.cuda.synchronize()

    run(ids[: job["batch"]])  # warm-up
    finish()
    start = time.perf_counter()
    delta = run(ids)
    finish()
    seconds = time.perf_counter() - start
    with open(job["delta"], "wb") as file:
        file.write(bytes(delta.contiguous().view(torch.uint8).flatten().tolist()))
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(json.dumps({"seconds": seconds, "device": name, "torch": torch.__version__}))


main(sys.argv[1])
