# Completion of rimg for elvish.
set edit:completion:arg-completer[rimg] = {|@words|
    env RIMG_COMPLETE=elvish rimg -- $@words 2>/dev/null </dev/null | from-lines
}
