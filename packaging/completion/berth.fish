# fish completion for berth: berth completion fish | source
function __berth_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  for line in ($words[1] __complete -- $words[2..-1] $current 2>/dev/null)
    if test "$line" = ":files"
      __fish_complete_path $current
    else
      echo $line
    end
  end
end
complete -c berth -f -a '(__berth_complete)'
