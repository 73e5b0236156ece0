# shellcheck shell=bash
# Keeps programs running and ends them whole. Sourced by the entrypoint.

readonly longest_pause=30 # seconds between two starts of something that keeps ending
readonly steady=60        # seconds after which a start counts as a good one
readonly grace=2          # seconds between asking to end and ending; Fly allows 5 in all
found=()

say() { printf 'crayon: %s\n' "$*" >&2; }

# Sleeps so that a signal is heard at once.
rest() {
    sleep "$1" &
    wait "$!"
}

# Sets `found` to the living among the given processes, all below them, and all that share a session with
# one of these, other than this script's own. Not even procps is needed (proc_pid_stat(5)).
find_processes() {
    local -A parent=() session_of=() chosen=()
    local -A sessions=()
    local file pid line fields own changed=1
    for file in /proc/[0-9]*/stat; do
        pid=${file#/proc/} pid=${pid%/stat} line=
        { IFS= read -r -d '' line <"$file" || [[ -n $line ]]; } 2>/dev/null || continue
        read -ra fields <<<"${line##*) }" # state, parent, group, session
        [[ ${fields[0]} == Z ]] || parent[$pid]=${fields[1]} session_of[$pid]=${fields[3]}
    done
    own=${session_of[$$]}
    for pid in "$@"; do
        chosen[$pid]=1 sessions[$pid]=1
    done
    while ((changed)); do
        changed=0
        for pid in "${!chosen[@]}"; do
            [[ -z ${session_of[$pid]-} ]] || sessions[${session_of[$pid]}]=1
        done
        unset "sessions[$own]"
        for pid in "${!parent[@]}"; do
            [[ -z ${chosen[$pid]-} ]] || continue
            [[ -n ${chosen[${parent[$pid]}]-} || -n ${sessions[${session_of[$pid]}]-} ]] || continue
            chosen[$pid]=1 changed=1
        done
    done
    found=()
    for pid in "${!chosen[@]}"; do
        [[ -z ${parent[$pid]-} || $pid == "$$" ]] || found+=("$pid")
    done
}

# Asks all in `found` to end and makes them, when they don't. Looking takes time too, so the clock decides.
end_found() {
    local until
    ((${#found[@]} > 0)) || return 0
    kill -TERM "${found[@]}" 2>/dev/null || true
    until=$((${EPOCHREALTIME/./} + grace * 1000000))
    while ((${EPOCHREALTIME/./} < until)); do
        find_processes "${found[@]}"
        ((${#found[@]} > 0)) || return 0
        sleep 0.05
    done
    kill -KILL "${found[@]}" 2>/dev/null || true
}

# Runs the function $1, which leads a session of its own, and then ends what it left behind: a child that
# still holds the port would keep the next start from succeeding.
run_whole() {
    local status=0 leader
    "$1" </dev/null &
    leader=$!
    wait "$leader" || status=$?
    find_processes "$leader"
    end_found
    return "$status"
}

keep_running() {
    local pause=1 began status
    while :; do
        began=$SECONDS status=0
        run_whole "$2" || status=$?
        ((SECONDS - began < steady)) || pause=1
        say "$1 ended with status $status; starting it again in $pause s."
        rest "$pause"
        pause=$((pause * 2 < longest_pause ? pause * 2 : longest_pause))
    done
}
