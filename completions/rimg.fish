# Completion of rimg for fish.
function _rimg_complete_rimg
    set -lx RIMG_COMPLETE fish
    set -l before (commandline --tokenize --cut-at-cursor --current-process)
    command rimg -- $before (commandline --cut-at-cursor --current-token) 2>/dev/null </dev/null
end
complete --command rimg --no-files --keep-order --arguments '(_rimg_complete_rimg)'
