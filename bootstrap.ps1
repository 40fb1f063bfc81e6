# The Makefile's environment, demo and tests on Windows:
#   powershell -ExecutionPolicy Bypass -File bootstrap.ps1 [demo|test|install] [-Python C:\path\to\python.exe]
# Makes .venv from the same lock files (they hold the wheels of every platform) and touches nothing outside it.
param(
    [ValidateSet("demo", "test", "install")] [string] $Task = "demo",
    [string] $Python = ""
)
Set-StrictMode -Version Latest
$ErrorActionPreference = "Stop"
Set-Location $PSScriptRoot
$env:PIP_DISABLE_PIP_VERSION_CHECK = "1"
$env:PYTHONUTF8 = "1"

function Invoke-Checked([string] $Program, [string[]] $Arguments) {
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) { Write-Error "$Program $($Arguments -join ' '): exit code $LASTEXITCODE" }
}

function Test-Python([string[]] $Command) {
    if (-not (Get-Command $Command[0] -ErrorAction SilentlyContinue)) { return $false }
    $rest = @($Command | Select-Object -Skip 1)
    # launchers write to stderr where a version is missing; that is an answer, not an error
    $ErrorActionPreference = "Continue"
    & $Command[0] @rest -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))" 2>$null | Out-Null
    return $LASTEXITCODE -eq 0
}

function Find-Python {
    if ($Python) {
        if (Test-Python @($Python)) { return , @($Python) }
        throw "Python: $Python is not 3.11, 3.12 or 3.13; name one that is with -Python"
    }
    foreach ($candidate in @(@("py", "-3.13"), @("py", "-3.12"), @("py", "-3.11"), @("python"), @("python3"))) {
        if (Test-Python $candidate) { return , $candidate }
    }
    throw "Python: none of 3.11, 3.12, 3.13 found; install one from https://www.python.org or name it with -Python"
}

function Install-Lock([string] $Lock) {
    $stamp = if ($Lock -eq "dev") { ".venv\.installed" } else { ".venv\.demo" }
    $newest = (Get-Item "requirements\$Lock.txt", "pyproject.toml" | Sort-Object LastWriteTime | Select-Object -Last 1)
    if ((Test-Path $stamp) -and ((Get-Item $stamp).LastWriteTime -ge $newest.LastWriteTime)) { return }
    if (-not (Test-Python @(".venv\Scripts\python.exe")) -or $Python) {
        $found = Find-Python
        $rest = @($found | Select-Object -Skip 1)
        Write-Host "making .venv with $($found -join ' ')"
        Invoke-Checked $found[0] ($rest + @("-m", "venv", "--clear", ".venv"))
    }
    Write-Host "installing requirements\$Lock.txt (about 1.2 GB on disk)"
    $pip = @("-m", "pip", "install", "--quiet")
    Invoke-Checked ".venv\Scripts\python.exe" ($pip + @("--require-hashes", "--only-binary", ":all:", "-r", "requirements\$Lock.txt"))
    Invoke-Checked ".venv\Scripts\python.exe" ($pip + @("--no-deps", "--no-build-isolation", "-e", "."))
    New-Item -ItemType File -Force ".venv\.demo" | Out-Null
    if ($Lock -eq "dev") { New-Item -ItemType File -Force ".venv\.installed" | Out-Null }
}

switch ($Task) {
    "install" { Install-Lock "dev" }
    "demo" {
        Install-Lock "demo"
        Invoke-Checked ".venv\Scripts\foreproof.exe" @("demo", "forecast")
    }
    "test" {
        Install-Lock "dev"
        # one thread per library: the workers run side by side
        $env:OMP_NUM_THREADS = "1"
        $env:POLARS_MAX_THREADS = "1"
        Invoke-Checked ".venv\Scripts\python.exe" @("-m", "pytest", "-n", "2", "--dist", "worksteal")
    }
}
