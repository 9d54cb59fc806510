# Functions that .ci/run and .ci/soak share. To be sourced by bash.

export GOWORK=off
STAGE=$(mktemp -d)
trap 'rm -rf "$STAGE"' EXIT

# say prints a heading.
say() { printf '\n=== %s\n' "$*"; }

# notice prints what was left out, and keeps it for the summary.
notice() {
  printf 'NOTICE: %s\n' "$*"
  printf 'NOTICE: %s\n' "$*" >>"$STAGE/notices"
}

# have reports whether all commands exist.
have() { command -v "$@" >/dev/null 2>&1; }

# install_packages installs Debian packages where that is possible.
install_packages() {
  have apt-get && [ "$(id -u)" = 0 ] || return 1
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@"; } </dev/null >"$STAGE/apt.log" 2>&1
}

# need_go stops if there is no Go toolchain.
need_go() {
  have go && return
  echo "Go is not installed; see https://go.dev/doc/install" >&2
  exit 1
}

# can_race reports whether the race detector can be used, and installs the C compiler it needs.
can_race() {
  have "${CC:-gcc}" || install_packages gcc libc6-dev || return 1
  CGO_ENABLED=1 go build -race -o "$STAGE/race" runtime/race >"$STAGE/race.log" 2>&1
}

# modules lists the directories that hold a go.mod, the root first.
modules() {
  git ls-files --cached --others --exclude-standard 'go.mod' '*/go.mod' | sort -u | while read -r mod; do
    if [ -f "$mod" ]; then dirname "$mod"; fi
  done | awk '{ print ($0 == "." ? 0 : 1) "\t" $0 }' | sort | cut -f2
}

nested_modules() { modules | grep -vx '\.' || true; }
