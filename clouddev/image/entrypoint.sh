#!/bin/bash -p
# Boots a cloud dev machine: checks what it was given, makes its person, and keeps sshd, the dev
# server and the app running until it is told to stop (SIGTERM or SIGINT).
#
# `-p` because the environment is the person's: no BASH_ENV or function of theirs steers root's shell.
# `--root DIR` puts every path below DIR, so that a test can boot a machine beside a real system.
set -euo pipefail
umask 022

# First of all, so that nothing this script sets is taken for something the machine was given.
mapfile -d '' -t given < <(/usr/bin/env -0)

root=
if [[ ${1-} == --root ]]; then
    root=${2:?--root wants a directory}
    shift 2
fi
export PATH="${root:+$root/usr/local/bin:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LC_ALL=C # ranges such as [a-z] mean these letters and no others

readonly root
readonly person_id=2000 # the same at every boot: it owns what is on the volume
readonly data=$root/data home=$root/data/home project=$root/data/app unfinished=$root/data/app.unfinished
readonly run=$root/run/crayon keys=$root/etc/ssh/authorized_keys starter=$root/usr/local/share/crayon/starter
readonly session=$run/session.env
services=()

# shellcheck source-path=SCRIPTDIR source=processes.sh
. "${BASH_SOURCE[0]%/*}/processes.sh"

# --- what the machine was given ---------------------------------------------------------------

# Notes a problem when the variable $1 is missing or not like $2. $3 says how it should be; values
# are never shown, for some are secret.
problems=()
check() {
    local value=${!1-}
    if [[ -z $value ]]; then
        problems+=("$1 is missing; it must be $3.")
    elif [[ ! $value =~ $2 ]]; then
        problems+=("$1 is malformed; it must be $3.")
    fi
}

check_environment() {
    check DEV_USER '^user-[0-9a-f]{16}$' '"user-" and 16 of the characters 0-9 and a-f'
    # All of an Ed25519 key's first bytes are the same, and its length too (RFC 8709). One line only:
    # a second one would be a second key, and text before it would be options.
    check SSH_PUBLIC_KEY '^ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}( [ -~]*)?$' \
        'one Ed25519 public key in OpenSSH format, on one line'
    check APP_NAME '^[a-z][a-z0-9-]{0,62}$' 'a lower-case letter and up to 62 letters, digits and hyphens'
    check CRAYON_SERVER_URL '^https?://[^[:space:]]+$' 'an http or https address'
    check DEV_UI_JWT_PUBLIC_KEY '^-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\[:space:]]+-----END PUBLIC KEY-----[\n[:space:]]*$' \
        'a public key in PEM (SPKI), its line ends written out or as \n'
    check DATABASE_URL '.' "the address of the app's database"
    ((${#problems[@]} == 0)) && return
    local problem
    for problem in "${problems[@]}"; do say "$problem"; done
    say 'This machine cannot start. Correct its secrets, then start it again.'
    exit 78 # EX_CONFIG of sysexits.h
}

# Writes what the machine was given as a file that shells can read, and only the person's. It is not on
# the volume: what is there ends up in snapshots.
write_session() {
    local entry name value fresh quote="'\\''"
    local commands=(
        "DEV_COMMAND=${DEV_COMMAND:-npm run dev}"
        "SCAFFOLD_COMMAND=${SCAFFOLD_COMMAND:-cp -R -- $starter/. .}"
    )
    mkdir -p "$run"
    chmod 755 "$run"
    rm -f -- "$run"/session.*
    fresh=$(umask 077 && mktemp "$run/session.XXXXXX")
    for entry in "${given[@]}" "${commands[@]}"; do
        name=${entry%%=*} value=${entry#*=}
        case $name in
        # A session has its own of these, and those of the second line are read-only in bash.
        PATH | HOME | USER | LOGNAME | SHELL | PWD | OLDPWD | SHLVL | TERM | HOSTNAME | _) continue ;;
        BASHOPTS | BASH_VERSINFO | EUID | PPID | SHELLOPTS | UID) continue ;;
        esac
        if [[ ! $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]]; then
            say 'A variable whose name no shell can hold was left out.'
            continue
        fi
        printf "export %s='%s'\n" "$name" "${value//"'"/"$quote"}"
    done >"$fresh"
    chown "$person_id:$person_id" "$fresh"
    chmod 400 "$fresh"
    mv -- "$fresh" "$session"
    # From here on root's own programs get none of it.
    for entry in "${given[@]}"; do
        name=${entry%%=*}
        [[ $name == PATH || ! $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || export -n "${name?}"
    done
}

# --- the person and their way in --------------------------------------------------------------

make_person() {
    local name id
    while IFS=: read -r name _ id _; do
        # A container that is started again with another DEV_USER still has the last one.
        [[ $id != "$person_id" || $name == "$DEV_USER" ]] || userdel -- "$name"
    done < <(cat -- "$root/etc/passwd")
    if ! grep -q "^$DEV_USER:" "$root/etc/passwd"; then
        # `*` is no password's hash: none fits, and unlike `!` it does not lock the account for sshd.
        useradd --uid "$person_id" --gid "$person_id" --no-create-home --home-dir "$home" \
            --shell /bin/bash --password '*' -- "$DEV_USER"
    fi
    # /data stays root's, so that nobody else can put something else in the place of what is in it.
    chmod 755 "$data"
    mkdir -p "$home"
    chown "$person_id:$person_id" "$home"
    chmod 700 "$home"
}

# The keys belong to root and are written whole: the last boot's key opens nothing, and a key that somebody
# adds to a file in their home does neither.
write_authorized_keys() {
    mkdir -p "$keys"
    chmod 755 "$keys"
    rm -f -- "$keys"/*
    printf '%s\n' "$SSH_PUBLIC_KEY" >"$keys/$DEV_USER"
    chmod 644 "$keys/$DEV_USER"
}

# The host key is made once and stays on the volume, or every boot would look like another machine.
ensure_host_key() {
    local key=$data/ssh/ssh_host_ed25519_key
    mkdir -p "$data/ssh"
    chmod 700 "$data/ssh"
    if [[ -e $key ]]; then
        ssh-keygen -y -P '' -f "$key" </dev/null >/dev/null 2>&1 && return
        say 'The host key on the volume cannot be read; making a new one.'
    fi
    rm -f -- "$key" "$key".*
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$key.new"
    mv -- "$key.new.pub" "$key.pub"
    sync -- "$key.new"
    mv -- "$key.new" "$key"
}

# --- what runs --------------------------------------------------------------------------------

# Becomes the person, in the directory $1, running the command line that the variable named $2 holds. Secrets
# come from the file and never as arguments, which everybody can see.
# shellcheck disable=SC2016 # the person's shell is to expand these
as_person() {
    exec setsid setpriv --reuid "$person_id" --regid "$person_id" --clear-groups --no-new-privs -- \
        env -i HOME="$home" USER="$DEV_USER" LOGNAME="$DEV_USER" SHELL=/bin/bash PATH="$PATH" \
        bash -p -c '. "$1" && cd -- "$2" && exec bash -c "${!3}"' crayon "$session" "$1" "$2"
}

run_sshd() {
    mkdir -p "$root/run/sshd" # where sshd's unprivileged half is locked in
    chmod 755 "$root/run/sshd"
    exec setsid env -i PATH="$PATH" "$root/usr/sbin/sshd" -D -e -f "$root/etc/ssh/sshd_config" -o "AllowUsers=$DEV_USER"
}

run_dev() { as_person "$project" DEV_COMMAND; }
run_app() { as_person "$project" APP_COMMAND; }
run_scaffold() { as_person "$unfinished" SCAFFOLD_COMMAND; }

# Makes the project in a folder of another name and renames it when it is whole: what a crash cuts off is
# thrown away, and a project that is there is never touched.
scaffold() {
    rm -rf -- "$unfinished"
    mkdir -- "$unfinished" || return
    chown "$person_id:$person_id" "$unfinished"
    run_whole run_scaffold || return
    if [[ -z $(ls -A -- "$unfinished") ]]; then
        say 'SCAFFOLD_COMMAND made no file.'
        return 1
    fi
    sync -f -- "$unfinished"
    mv -T -- "$unfinished" "$project"
}

make_project() {
    local pause=1
    until [[ -d $project ]]; do
        say 'Making the project.'
        scaffold && break
        say "The project could not be made; trying again in $pause s."
        rest "$pause"
        pause=$((pause * 2 < longest_pause ? pause * 2 : longest_pause))
    done
}

# --- the end ----------------------------------------------------------------------------------

stop() {
    trap '' TERM INT
    say 'Stopping.'
    # Those that start things anew are held first, so that nothing is started between the look and the end.
    ((${#services[@]} == 0)) || kill -STOP "${services[@]}" 2>/dev/null || true
    find_processes "$$"
    ((${#services[@]} == 0)) || disown "${services[@]}" # bash would report each as killed
    ((${#services[@]} == 0)) || kill -KILL "${services[@]}" 2>/dev/null || true
    end_found
    say 'Stopped.'
    exit 0
}

# --- the boot ---------------------------------------------------------------------------------

serve() {
    keep_running "$1" "$2" &
    services+=("$!")
}

check_environment
if [[ -z $root && $EUID != 0 ]]; then
    say 'This must be run as root, which makes the person and starts sshd.'
    exit 77 # EX_NOPERM
fi
trap stop TERM INT
write_session
make_person
write_authorized_keys
ensure_host_key
serve sshd run_sshd # before the project, so that people can look when making it fails
make_project
serve 'The dev server' run_dev
[[ -z ${APP_COMMAND-} ]] || serve 'The app' run_app
wait
