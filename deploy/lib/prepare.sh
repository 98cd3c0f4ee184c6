# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What deploy/quickstart, tests/run and tests/support/cluster need before anything of ours runs:
# progress lines, Debian packages, Apache Kafka's jars. Sourced, not run, by bash with "set -eu".
# It writes below ${XDG_CACHE_HOME:-~/.cache}/plimsoll only. No setting of these scripts is a
# variable that begins with PLIMSOLL_: the services take every such name for a configuration key.

project_root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
project_cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/plimsoll

# ---- progress ----------------------------------------------------------------------------------

# say TEXT…: one line with the time since the script began, on stderr.
say() { printf '[%3d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*" >&2; }

# die TEXT…: the last words.
die() { say "error: $*"; exit 1; }

# ---- Debian packages ---------------------------------------------------------------------------

# One line per package: who needs it, what shows that it is there (a command, a pkg-config module or
# a header), its name in Debian 12 and 13. What is there by other means is not installed again.
package_table() {
    cat <<'TABLE'
build  command:cc             build-essential
build  command:cmake          cmake
build  command:ninja          ninja-build
build  command:pkg-config     pkg-config
build  command:protoc-c       protobuf-c-compiler
build  module:rdkafka         librdkafka-dev
build  module:libprotobuf-c   libprotobuf-c-dev
build  module:hiredis         libhiredis-dev
build  module:jansson         libjansson-dev
build  module:libmicrohttpd   libmicrohttpd-dev
build  module:libcrypto       libssl-dev
build  header:xxhash.h        libxxhash-dev
build  module:cmocka          libcmocka-dev
build  header:gmp.h           libgmp-dev
cluster command:javac         default-jdk-headless
cluster command:mvn           maven
cluster command:redis-server  redis-server
look   command:kcat           kcat
lint   command:npm            npm
TABLE
}

is_installed() {
    case $1 in
    command:*) command -v "${1#command:}" ;;
    module:*) pkg-config --exists "${1#module:}" ;;
    header:*) cc -E -include "${1#header:}" -x c /dev/null ;;
    esac >/dev/null 2>&1
}

# need_packages WHO…: installs what the named users lack; with nothing missing it asks nobody.
need_packages() {
    local who proof package missing=() apt=(apt-get)
    while read -r who proof package; do
        if [[ " $* " == *" $who "* ]] && ! is_installed "$proof"; then missing+=("$package"); fi
    done < <(package_table)
    if ((${#missing[@]} == 0)); then return 0; fi

    say "installing ${missing[*]}"
    if ((EUID != 0)); then apt=(sudo apt-get); fi
    if ! command -v "${apt[0]}" >/dev/null; then
        say "error: ${apt[0]} is not here; as root: apt-get install ${missing[*]}"
        return 1
    fi
    # With an old index the installation may still succeed, so a failed update is only told.
    apt_quietly "${apt[@]}" update || say "apt-get update failed; going on with the old index"
    apt_quietly "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
}

# Runs apt-get without questions; its output is shown only when it fails.
apt_quietly() {
    local output
    if [[ $1 == sudo ]]; then set -- sudo DEBIAN_FRONTEND=noninteractive "${@:2}"; fi
    output=$(DEBIAN_FRONTEND=noninteractive "$@" </dev/null 2>&1) ||
        { printf '%s\n' "$output" >&2; return 1; }
}

# ---- Apache Kafka ------------------------------------------------------------------------------

# kafka_classpath: prints the class path of Apache Kafka: KAFKA_HOME's where set, else the jars that
# maven brings into the cache once. Callers may run at the same time; the first one fetches.
kafka_classpath() {
    local pom=$project_root/tests/support/kafka/pom.xml version home
    if [[ -n ${KAFKA_HOME:-} ]]; then
        compgen -G "$KAFKA_HOME/libs/kafka_*.jar" >/dev/null ||
            { say "error: no libs/kafka_*.jar below KAFKA_HOME=$KAFKA_HOME"; return 1; }
        printf '%s\n' "$KAFKA_HOME/libs/*"
        return
    fi
    version=$(sed -n 's|.*<kafka.version>\(.*\)</kafka.version>.*|\1|p' "$pom")
    home=$project_cache/kafka-$version
    if [[ ! -d $home/libs ]]; then
        mkdir -p "$project_cache"
        (flock 9; [[ -d $home/libs ]] || fetch_kafka "$version" "$home") 9>"$home.lock" || return 1
    fi
    printf '%s\n' "$home/libs/*"
}

# The jars appear under their final name only when all are there. Maven reads a copy of the pom, so
# that it has no reason to write into the source tree.
fetch_kafka() {
    local version=$1 home=$2
    is_installed command:mvn ||
        { say "error: maven is not here, and KAFKA_HOME is not set"; return 1; }
    say "fetching Apache Kafka $version (43 MB, once) into $home"
    rm -rf "$home.part"
    mkdir -p "$home.part"
    cp "$project_root/tests/support/kafka/pom.xml" "$home.part/"
    if ! mvn --batch-mode --quiet --strict-checksums --file "$home.part/pom.xml" \
        dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$home.part/libs" \
        </dev/null >"$home.part/maven.log" 2>&1 9>&-; then
        cat "$home.part/maven.log" >&2
        say "error: maven could not fetch Apache Kafka"
        return 1
    fi
    rm -rf "$home"
    mv "$home.part" "$home"
}

# java_command: the JVM to run it with.
java_command() { printf '%s\n' "${JAVA_HOME:+$JAVA_HOME/bin/}java"; }
