# Completion of NAME for elvish.
set edit:completion:arg-completer[NAME] = {|@words|
    env RIMG_COMPLETE=elvish rimg -- $@words 2>/dev/null </dev/null | from-lines
}
