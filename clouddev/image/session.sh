# shellcheck shell=sh
# Gives an ssh session what the machine was given, and begins it in the project. Read by login shells
# (/etc/profile) and by bash when sshd starts it with a command (/etc/bash.bashrc).
if [ -r /run/crayon/session.env ]; then
    # shellcheck source=/dev/null
    . /run/crayon/session.env
fi
case $- in
*i*) if [ "$PWD" = "$HOME" ] && [ -d /data/app ]; then cd /data/app || :; fi ;;
esac
