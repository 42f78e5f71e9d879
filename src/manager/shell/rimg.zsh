#compdef NAME
# Completion of NAME for zsh.
_rimg_complete_NAME() {
    local -a found dirs others
    local line
    found=("${(@f)$(RIMG_COMPLETE=zsh command rimg -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null </dev/null)}")
    for line in "${found[@]}"; do
        case $line in
            '') ;;
            */) dirs+=("${line%/}") ;;
            *) others+=("$line") ;;
        esac
    done
    (($#dirs)) && _describe -V directory dirs -S / -r /
    (($#others)) && _describe -V candidate others
}
if [[ $funcstack[1] == _NAME ]]; then
    _rimg_complete_NAME "$@"
else
    compdef _rimg_complete_NAME NAME
fi
