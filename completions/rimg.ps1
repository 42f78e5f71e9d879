# Completion of rimg for PowerShell.
Register-ArgumentCompleter -Native -CommandName rimg -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    # The words as written: nothing of what is being typed may run.
    $words = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object {
        if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value } else { $_.Extent.Text }
    })
    $before = $env:RIMG_COMPLETE
    $env:RIMG_COMPLETE = 'powershell'
    try {
        & (Get-Command -CommandType Application -Name rimg)[0] '--' @words "=$($wordToComplete.Trim("'"))" 2>$null | ForEach-Object {
            $value, $help = $_.Split("`t", 2)
            [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
        }
    } finally {
        $env:RIMG_COMPLETE = $before
    }
}
