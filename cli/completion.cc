#include "cli/completion.h"

#include <CLI/App.hpp>
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/output/printer.h"

namespace joulefarm::cli {
namespace {

// What stands behind an option or as an argument: "experiments", "files", "words table json",
// "text" (anything) or "flag" (nothing).
using Kind = std::string;

struct OptionNode {
  std::vector<std::string> names;  // "-o", "--output"
  std::string description;
  Kind kind;
};

struct CommandNode {
  std::string path;  // "job get"; empty: the program itself
  std::vector<std::pair<std::string, std::string>> children;  // name, description
  std::vector<OptionNode> options;
  Kind argument = "text";
};

// Ids that `joulefarm … -o name` lists.
const std::map<std::string, std::string>& Listings() {
  static const std::map<std::string, std::string> kListings{{"experiments", "experiment list"},
                                                            {"jobs", "job list"},
                                                            {"devices", "device list"},
                                                            {"agents", "agent list"},
                                                            {"artifacts", "artifact list"}};
  return kListings;
}

Kind KindOf(const std::string& type, const std::string& description) {
  static const std::map<std::string, Kind> kKinds{{"EXPERIMENT", "experiments"},
                                                  {"A", "experiments"},
                                                  {"B", "experiments"},
                                                  {"JOB", "jobs"},
                                                  {"JOBS", "jobs"},
                                                  {"DEVICE", "devices"},
                                                  {"AGENT", "agents"},
                                                  {"MODEL", "artifacts"},
                                                  {"ARTIFACT", "artifacts"},
                                                  {"FILE", "files"},
                                                  {"SHELL", "words bash zsh fish"}};
  if (type == "FORMAT") {
    // The description lists them: "table, json or csv".
    std::string words = "words";
    for (const std::string& word :
         std::vector<std::string>(absl::StrSplit(description, absl::ByAnyChar(" ,;")))) {
      if (ParseFormat(word)) absl::StrAppend(&words, " ", word);
    }
    return words;
  }
  const auto found = kKinds.find(type);
  return found == kKinds.end() ? "text" : found->second;
}

void Collect(const CLI::App& app, const std::string& path, std::vector<CommandNode>& nodes) {
  CommandNode node;
  node.path = path;
  for (const CLI::Option* option : app.get_options()) {
    OptionNode known;
    for (const std::string& name : option->get_snames()) known.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) known.names.push_back("--" + name);
    if (known.names.empty()) {
      node.argument = KindOf(option->get_name(true), option->get_description());
      continue;
    }
    known.description = option->get_description();
    known.kind = option->get_items_expected_max() == 0
                     ? "flag"
                     : KindOf(option->get_type_name(), option->get_description());
    node.options.push_back(std::move(known));
  }
  const auto children = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* child : children)
    node.children.emplace_back(child->get_name(), child->get_description());
  nodes.push_back(std::move(node));
  for (const CLI::App* child : children)
    Collect(*child, path.empty() ? child->get_name() : absl::StrCat(path, " ", child->get_name()),
            nodes);
}

// In single quotes, as every one of the shells reads it.
std::string ShellQuoted(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

std::string ListingCases(absl::string_view program) {
  std::string cases;
  for (const auto& [kind, command] : Listings())
    absl::StrAppend(&cases, "    ", kind, ") ", program, " ", command, " -o name 2>/dev/null ;;\n");
  return cases;
}

// Functions of a POSIX shell that answer from the tree, and the one that completes. zsh runs the
// same through its bashcompinit.
std::string BashScript(const std::vector<CommandNode>& nodes) {
  std::string children;
  std::string options;
  std::string values;
  std::string arguments;
  for (const CommandNode& node : nodes) {
    const std::string path = ShellQuoted(node.path);
    std::vector<std::string> names;
    for (const auto& [name, description] : node.children) names.push_back(name);
    if (!names.empty())
      absl::StrAppend(&children, "    ", path, ") echo ", ShellQuoted(absl::StrJoin(names, " ")),
                      " ;;\n");
    std::vector<std::string> all;
    for (const OptionNode& option : node.options) {
      all.insert(all.end(), option.names.begin(), option.names.end());
      std::vector<std::string> patterns;
      for (const std::string& name : option.names)
        patterns.push_back(ShellQuoted(absl::StrCat(node.path, "|", name)));
      absl::StrAppend(&values, "    ", absl::StrJoin(patterns, "|"), ") echo ",
                      ShellQuoted(option.kind), " ;;\n");
    }
    absl::StrAppend(&options, "    ", path, ") echo ", ShellQuoted(absl::StrJoin(all, " ")),
                    " ;;\n");
    if (names.empty())
      absl::StrAppend(&arguments, "    ", path, ") echo ", ShellQuoted(node.argument), " ;;\n");
  }
  return absl::StrCat(
      "_joulefarm_children() {\n  case \"$1\" in\n", children, "  esac\n}\n",
      "_joulefarm_options() {\n  case \"$1\" in\n", options, "  esac\n}\n",
      "_joulefarm_value() {\n  case \"$1|$2\" in\n", values, "  esac\n}\n",
      "_joulefarm_argument() {\n  case \"$1\" in\n", arguments, "  esac\n}\n",
      "_joulefarm_words() {\n  case \"$2\" in\n    'words '*) echo \"${2#words }\" ;;\n",
      ListingCases("\"$1\""), "  esac\n}\n",
      R"sh(_joulefarm() {
  local cur prev path word kind i
  cur="${COMP_WORDS[COMP_CWORD]}"
  prev="${COMP_WORDS[COMP_CWORD-1]}"
  path=""
  i=1
  while [ "$i" -lt "$COMP_CWORD" ]; do
    word="${COMP_WORDS[i]}"
    case " $(_joulefarm_children "$path") " in
      *" $word "*) path="${path:+$path }$word" ;;
    esac
    i=$((i+1))
  done
  COMPREPLY=()
  kind=""
  # An option of this command, or one of the program's that may stand anywhere.
  case "$prev" in
    -*) kind="$(_joulefarm_value "$path" "$prev")"
        [ -n "$kind" ] || kind="$(_joulefarm_value '' "$prev")" ;;
  esac
  if [ -z "$kind" ] || [ "$kind" = flag ]; then
    case "$cur" in
      -*) COMPREPLY=($(compgen -W "$(_joulefarm_options "$path")" -- "$cur")); return ;;
    esac
    if [ -n "$(_joulefarm_children "$path")" ]; then
      COMPREPLY=($(compgen -W "$(_joulefarm_children "$path")" -- "$cur"))
      return
    fi
    kind="$(_joulefarm_argument "$path")"
  fi
  case "$kind" in
    files) COMPREPLY=($(compgen -f -- "$cur")) ;;
    text) ;;
    *) COMPREPLY=($(compgen -W "$(_joulefarm_words "${COMP_WORDS[0]}" "$kind")" -- "$cur")) ;;
  esac
}
)sh");
}

std::string FishScript(const std::vector<CommandNode>& nodes) {
  std::string children;
  for (const CommandNode& node : nodes) {
    std::vector<std::string> names;
    for (const auto& [name, description] : node.children) names.push_back(name);
    if (!names.empty())
      absl::StrAppend(&children, "    case ", ShellQuoted(node.path), "\n      echo ",
                      absl::StrJoin(names, "\\n"), "\n");
  }
  std::string script = absl::StrCat("function __joulefarm_children\n  switch \"$argv[1]\"\n",
                                    children, "  end\nend\n",
                                    R"sh(function __joulefarm_at
  set -l path ""
  set -l words (commandline -opc)
  for word in $words[2..-1]
    if contains -- $word (__joulefarm_children "$path")
      set path (string trim -- "$path $word")
    end
  end
  test "$path" = "$argv[1]"
end
complete -c joulefarm -f
)sh");
  const auto values = [](const Kind& kind) -> std::string {
    if (kind == "files") return " -r -F";
    const auto listing = Listings().find(kind);
    if (listing != Listings().end())
      return absl::StrCat(" -a '(joulefarm ", listing->second, " -o name 2>/dev/null)'");
    if (absl::string_view(kind).substr(0, 6) == "words ")
      return absl::StrCat(" -a ", ShellQuoted(kind.substr(6)));
    return "";
  };
  for (const CommandNode& node : nodes) {
    const std::string at =
        absl::StrCat("complete -c joulefarm -n ",
                     ShellQuoted(absl::StrCat("__joulefarm_at \"", node.path, "\"")));
    for (const auto& [name, description] : node.children)
      absl::StrAppend(&script, at, " -a ", name, " -d ", ShellQuoted(description), "\n");
    if (node.children.empty() && !values(node.argument).empty())
      absl::StrAppend(&script, at, values(node.argument), "\n");
    for (const OptionNode& option : node.options) {
      absl::StrAppend(&script, at);
      for (const std::string& name : option.names)
        absl::StrAppend(&script, name[1] == '-' ? " -l " : " -s ",
                        name.substr(name[1] == '-' ? 2 : 1));
      // -x: its value and no file.
      if (option.kind != "flag")
        absl::StrAppend(&script, option.kind == "files" ? "" : " -x", values(option.kind));
      absl::StrAppend(&script, " -d ", ShellQuoted(option.description), "\n");
    }
  }
  return script;
}

}  // namespace

absl::StatusOr<std::string> CompletionScript(const CLI::App& root, absl::string_view shell) {
  std::vector<CommandNode> nodes;
  Collect(root, "", nodes);
  if (shell == "bash") {
    return absl::StrCat("# joulefarm in bash: source <(joulefarm completion bash)\n",
                        BashScript(nodes), "complete -F _joulefarm joulefarm\n");
  }
  if (shell == "zsh") {
    return absl::StrCat("# joulefarm in zsh: source <(joulefarm completion zsh)\n",
                        "autoload -U +X compinit && compinit\n"
                        "autoload -U +X bashcompinit && bashcompinit\n",
                        BashScript(nodes), "complete -F _joulefarm joulefarm\n");
  }
  if (shell == "fish") {
    return absl::StrCat("# joulefarm in fish: joulefarm completion fish | source\n",
                        FishScript(nodes));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("there is no completion for ", shell, "; there is for bash, zsh and fish"));
}

}  // namespace joulefarm::cli
