# Installs what is missing, saying what and why. Sourced by the scripts beside it; installs nothing that is there.
# shellcheck shell=bash

say() { printf '\n\033[1m==> %s\033[0m\n' "$*" >&2; }
fail() {
    printf '\nerror: %s\n' "$*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# What to do where a package is not to be had.
hint() {
    case "$1" in
    chromium*)
        printf ' %s' "Ubuntu has Chromium as a snap only, which cannot use our profile folders: install Google's own" \
            "package google-chrome-stable, or name a Chrome with CHROME_PATH."
        ;;
    esac
}

# need_packages WHY PACKAGE…: Debian packages, with one look at the lists if they are needed at all.
need_packages() {
    local why=$1 missing=() as_root=() package
    shift
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    has apt-get || fail "please install: ${missing[*]} ($why). Only Debian and Ubuntu are done by themselves."
    if [ "$(id -u)" -ne 0 ]; then
        has sudo || fail "please run as root: apt-get install ${missing[*]} ($why)"
        as_root=(sudo)
    fi
    say "installing ${missing[*]}: $why"
    "${as_root[@]}" apt-get update -qq || fail "apt-get update failed: is there a network?"
    for package in "${missing[@]}"; do
        apt-cache show "$package" >/dev/null 2>&1 || fail "this system has no package $package ($why).$(hint "$package")"
    done
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
        fail "apt-get could not install ${missing[*]}"
}

need_rust() {
    # shellcheck source=/dev/null
    has cargo || { [ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"; } || true
    has cargo || fail "Rust is missing: install it by https://rustup.rs, then run this again"
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(cargo --version | cut -d ' ' -f 2)
    [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ] ||
        fail "Rust $found is too old, $wanted or newer is needed: run rustup update"
    has cc || need_packages "Rust links with it" gcc libc6-dev
}

# The Chrome that the service will find, or nothing.
chrome() {
    local name
    if [ -n "${CHROME_PATH:-}" ]; then
        printf '%s' "$CHROME_PATH"
        return
    fi
    for name in chromium-headless-shell google-chrome-stable chromium; do
        # Ubuntu's snap of Chromium cannot use our profile folders.
        if has "$name" && [ "$(readlink -f "$(command -v "$name")")" != /usr/bin/snap ]; then
            command -v "$name"
            return
        fi
    done
}

# Any Chrome does for running; the smallest is installed where there is none.
need_chrome() {
    [ -n "$(chrome)" ] || need_packages "each session runs one headless Chrome" chromium-headless-shell
}

# What a first build takes, in seconds, measured on an idle machine with two cores (docs/quickstart.md): of computing in all, and of
# the crates that wait for each other, which more cores do not shorten.
FIRST_BUILD_CPU=460
FIRST_BUILD_CHAIN=160

# duration SECONDS
duration() {
    if [ "$1" -lt 90 ]; then printf '%d s' "$1"; else printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); fi
}

# build [STEP]: builds the program, and says beforehand about how long that takes. Cargo's own progress is shown.
build() {
    local step=${1:-} cores seconds began=$SECONDS
    cores=$(nproc)
    if compgen -G 'target/release/deps/libchromiumoxide-*.rlib' >/dev/null; then
        say "${step}building what has changed since the last time"
    else
        seconds=$((FIRST_BUILD_CPU / cores))
        [ "$seconds" -ge "$FIRST_BUILD_CHAIN" ] || seconds=$FIRST_BUILD_CHAIN
        say "${step}building the program: the first time takes about $(((seconds + 59) / 60)) minutes with $cores cores, later ones seconds; about half of that time cargo says nothing but \"Compiling session-manager\""
    fi
    cargo build --release --locked || fail "cargo could not build the program: what it says above is the cause"
    say "built in $(duration $((SECONDS - began)))"
}

need_node() {
    has node && has npm && return
    need_packages "the tests run wa-js and PM2, which come from npm" nodejs npm
}
