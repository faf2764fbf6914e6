#!/usr/bin/env bash
# What a machine with a GPU runs in one command, in at most nine minutes:
#
#   bash bench/gpu.sh             models shaped like Llama 3.2 1B, Qwen3-1.7B and Llama 3.1 8B (22 GB in the temporary folder)
#   bash bench/gpu.sh --tiny      tiny models: to try this out on any adapter
#
# Parity with Hugging Face, `deno task bench` on both backends beside the ceilings of this adapter, PyTorch doing the same job on
# the same weights, and the audit. What fails, is missing or finds no time is told in its place; the rest goes on. A step that is
# cut short leaves the rows that it has.
# The report is docs/bench/{adapter}.md (with --tiny it goes to the temporary folder).
# Environment: LIMIT, seconds in all (530); PYTHON (python3) has PyTorch; TMPDIR; OUT, another folder for the report.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export NO_COLOR=1 DENO_NO_UPDATE_CHECK=1

LIMIT=${LIMIT:-530} # seconds in all; the steps below may take 505 together
if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
  sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'
  exit 0
fi
models=1B,1.7B,8B
torch_models=1B,1.7B
torch_flags=(--documents 256 --tokens 128)
quick=()
only='matmul*,matvec*,attention*,rmsnorm*,prefill*,decode*,adapted*,hooks*'
if [ "${1:-}" = --tiny ]; then
  models=tiny torch_models=tiny
  torch_flags=(--documents 16 --tokens 16)
  quick=(--quick)
  only='matmul/512x512x192,matvec/1x512x192,rmsnorm/1*,prefill*,decode*,adapted*,hooks*'
elif [ -n "${1:-}" ]; then
  echo "Unknown argument $1: see bash bench/gpu.sh --help" >&2
  exit 2
fi

if command -v deno >/dev/null; then deno=(deno); else deno=(npx -y deno@2.9.6); fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -n "${OUT:-}" ]; then out=$OUT
elif [ "$models" = tiny ]; then out=$(mktemp -d)
else out=docs/bench; fi
mkdir -p "$out"

left() { echo $((LIMIT - SECONDS)); }
say() { printf '\n== %s (%s s left)\n' "$*" "$(left)" >&2; }

# Runs a command for at most $1 seconds, or what is left; its output goes to the file $2, and why there is none.
step() {
  local most=$1 file=$2 status
  shift 2
  local room
  room=$(left)
  if [ "$room" -lt 5 ]; then
    echo "Left out: no time was left." >"$file"
    return
  fi
  [ "$room" -lt "$most" ] && most=$room
  timeout --kill-after=10 "$most" "$@" </dev/null >"$file" 2>"$file.err"
  status=$?
  tail -n 3 "$file.err" >&2
  [ "$status" -eq 0 ] && return
  local why="exit status $status"
  [ "$status" -ge 124 ] && [ "$status" -ne 134 ] && why="it took over $most s"
  printf '\nFailed: %s. %s\n' "$why" "$(grep -v '^ *at ' "$file.err" | tail -n 1)" >>"$file"
}

say "adapter"
"${deno[@]}" task doctor --json >"$work/doctor" 2>/dev/null
adapter=$("${deno[@]}" eval 'const r = JSON.parse(await Deno.readTextFile(Deno.args[0]));
  const a = r.backends.find((b) => b.works)?.adapter;
  console.log(a ? a.description || [a.vendor, a.architecture, a.device].filter(Boolean).join(" ") : "no adapter");' \
  "$work/doctor")
slug=$(tr '[:upper:]' '[:lower:]' <<<"${adapter%%(*}" | sed -E 's/[^a-z0-9]+/-/g; s/^-+|-+$//g')
report="$out/$slug.md"

# The same for what has a --limit of its own: it ends by itself some seconds before it would be ended.
limited() {
  local most=$1 file=$2 room
  room=$(left)
  [ "$room" -lt "$most" ] && most=$room
  shift 2
  step "$most" "$file" "$@" --limit $((most > 30 ? most - 15 : most > 5 ? most - 3 : 1))
}

for backend in deno dawn; do
  say "parity, $backend"
  PALIMPSEST_BACKEND=$backend step 40 "$work/parity-$backend" \
    "${deno[@]}" run -A cli/driver/launch.ts test -A --quiet tests/parity_test.ts
done
bench() {
  say "bench, $1"
  limited 105 "$work/bench-$1" "${deno[@]}" run -A bench/bench.ts --backend "$1" --models "$models" \
    --only "$only" --folder "$work/models" --markdown "${quick[@]}"
}
bench deno
say "PyTorch"
limited 110 "$work/torch" "${deno[@]}" run -A bench/peers/torch.ts --models "$torch_models" --folder "$work/models" \
  --python "${PYTHON:-python3}" --markdown "${torch_flags[@]}"
bench dawn
say "audit"
audit=(--quick)
[ "$models" = tiny ] && audit=(--quick --only 'matmul*')
step 85 "$work/audit" "${deno[@]}" task audit "${audit[@]}" --out "$work"
say "audit of fast mode, dawn"
step 20 "$work/audit-fast" "${deno[@]}" task audit --quick --only 'matmul_*' --backend dawn --out "$work"

# The last lines of a step, as a block of code.
code() { printf '```\n%s\n```\n' "$(grep -v '^$' "$1" | tail -n "$2")"; }
# A table, and what was said of it.
table() { cat "$1"; }
{
  printf '# %s\n\n' "$adapter"
  printf '`bash bench/gpu.sh%s`, %s, commit %s, %s s.\n\n' "${1:+ $1}" "$(date -u +%F)" \
    "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" "$SECONDS"
  printf '## Parity with Hugging Face in float32\n\n'
  for backend in deno dawn; do printf '%s:\n\n' "$backend"; code "$work/parity-$backend" 2; printf '\n'; done
  printf '## Audit\n\n'
  code "$work/audit" 12
  printf '\nOf fast mode, dawn:\n\n'
  code "$work/audit-fast" 9
  for backend in deno dawn; do printf '\n## Bench, %s\n\n' "$backend"; table "$work/bench-$backend"; done
  printf '\n## The same job by PyTorch\n\n'
  table "$work/torch"
} >"$report"
say "done"
echo "$report"
