#include "cli/completion.h"

#include <CLI/App.hpp>

#include "cli/commands/commands.h"

namespace joulefarm::cli {

void AddCompletion(CLI::App& app, Session& session) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = AddCommand(
      app, "completion", "A script that teaches a shell to complete commands, options and ids",
      "  source <(joulefarm completion bash)          # in ~/.bashrc\n"
      "  source <(joulefarm completion zsh)           # in ~/.zshrc\n"
      "  joulefarm completion fish > ~/.config/fish/completions/joulefarm.fish",
      "Ids of experiments, jobs, devices, agents and artifacts are asked of the controller when "
      "Tab is pressed.");
  command->group("The farm");
  command->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""));
  command->callback([=, &app, &session] {
    session.action = [=, &app, &session] {
      const absl::StatusOr<std::string> script = CompletionScript(app, *shell);
      if (!script.ok()) return session.Fail(script.status());
      session.console().out << *script;
      return static_cast<int>(kExitOk);
    };
  });
}

}  // namespace joulefarm::cli
