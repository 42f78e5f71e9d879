# Completion of rimg for bash.
# shellcheck shell=bash
_rimg_complete_rimg() {
    local rest=${COMP_LINE:0:COMP_POINT} words=() word='' piece='' lead line i n=-1
    # Bash also parts words at = and :. Those without a space between belong together.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        if ((i == 0)) || [[ $rest == [[:space:]]* || -z $rest ]]; then
            n=$((n + 1))
            words[n]=''
        fi
        rest=${rest#"${rest%%[![:space:]]*}"}
        piece=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && piece=$rest
        words[n]+=$piece
        rest=${rest#"$piece"}
    done
    # What bash will replace is the last piece, and nothing of a lone = or :.
    [[ $piece == [=:] ]] && piece=''
    word=${words[n]}
    lead=${word%"$piece"}
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line#"$lead"}")
    done < <(RIMG_COMPLETE=bash command rimg -- "${words[@]}" 2>/dev/null </dev/null)
    # More of a path, or a value, is still to come.
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[/=] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o nosort -F _rimg_complete_rimg rimg 2>/dev/null || complete -F _rimg_complete_rimg rimg
