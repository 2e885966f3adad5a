#include "cli/app.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands/commands.h"
#include "cli/output/text.h"
#include "common/config/suggest.h"

namespace joulefarm::cli {
namespace {

constexpr char kFooter[] =
    "Examples:\n"
    "  joulefarm artifact push models/tiny-q8_0.gguf      store a model\n"
    "  joulefarm submit -f exp.yaml --dry-run             see what would run where\n"
    "  joulefarm submit -f exp.yaml --watch               run it, look on, and read the summary\n"
    "  joulefarm result list --experiment exp-1           every run, with units and labels\n"
    "  joulefarm sql \"select model, avg(otps) from result group by model\"\n"
    "\n"
    "Which controller: --controller, else --context, else JOULEFARM_CONTROLLER, else the current "
    "context or the\n"
    "controller of ~/.config/joulefarm/config.yaml, else 127.0.0.1:7070. That file may say:\n"
    "  controller: lab-host:7070\n"
    "  contexts: {lab: {controller: lab-host:7070}, desk: {controller: 127.0.0.1:7070}}\n"
    "  current: lab\n"
    "\n"
    "Exit codes: 0 done, every job SUCCEEDED; 1 some job ended otherwise; 2 usage, invalid file, "
    "not found,\n"
    "unsatisfiable; 3 connection or infrastructure; 4 --timeout passed; 130 Ctrl-C (jobs go on).\n"
    "NO_COLOR switches colours off.";

void BuildApp(CLI::App& app, Session& session) {
  app.name("joulefarm");
  app.description(
      "Joulefarm: benchmarks of inference on a farm of devices, with energy that can be trusted");
  app.get_formatter()->column_width(34);
  app.require_subcommand(1);
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("joulefarm ") + JOULEFARM_VERSION,
                       "the version of this program");
  app.add_option("--controller", session.controller, "the controller to talk to")
      ->type_name("HOST:PORT");
  app.add_option("--context", session.context, "a context of the config file")->type_name("NAME");
  AddSubmit(app, session);
  AddExperiment(app, session);
  AddJob(app, session);
  AddArtifact(app, session);
  AddResult(app, session);
  AddSql(app, session);
  AddDevice(app, session);
  AddResource(app, session);
  AddAgent(app, session);
  AddDoctor(app, session);
  AddBackup(app, session);
  AddCompletion(app, session);
  AddVersion(app, session);
}

// The chosen command, as deep as it is known: "joulefarm job".
const CLI::App& Deepest(const CLI::App& app, std::string& path) {
  absl::StrAppend(&path, path.empty() ? "" : " ", app.get_name());
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : Deepest(*chosen.front(), path);
}

// What is wrong with the command line, and where to read on.
int FailParse(const CLI::App& app, const CLI::ParseError& error, Console& console) {
  std::string path;
  const CLI::App& command = Deepest(app, path);
  const auto commands = command.get_subcommands([](const CLI::App*) { return true; });
  const bool extra = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError);
  const std::vector<std::string> rest = app.remaining(true);
  const auto option = std::find_if(rest.begin(), rest.end(), [](const std::string& word) {
    return absl::StartsWith(word, "-");
  });
  std::string message = error.what();
  if ((extra || !commands.empty()) && option != rest.end()) {
    std::vector<std::string> options;
    for (const CLI::App* level : {&command, &app}) {
      for (const CLI::Option* known : level->get_options()) options.push_back(known->get_name());
    }
    const std::optional<std::string> nearest = NearestName(*option, options);
    message = absl::StrCat("there is no option ", Quoted(*option),
                           nearest ? absl::StrCat("; did you mean ", *nearest, "?") : "");
  } else if (!commands.empty()) {
    std::vector<std::string> names;
    for (const CLI::App* sub : commands) names.push_back(sub->get_name());
    message = rest.empty() ? absl::StrCat("say which command of \"", path,
                                          "\": ", absl::StrJoin(names, ", "))
                           : absl::StrCat("there is no command ", Quoted(rest.front()),
                                          Suggestion(rest.front(), names, "commands"));
  } else if (extra && !rest.empty()) {
    message = absl::StrCat("unexpected argument ", Quoted(rest.front()));
  }
  console.err << "error: " << CleanLines(message) << "\n"
              << path << " --help says more." << std::endl;
  return kExitUsage;
}

// A write error of the output is an error of the command, unless the reader simply has enough (`|
// head`).
int Finish(Console& console, int exit) {
  console.out.flush();
  const int error = console.out_error();
  if (error != 0 && error != EPIPE) {
    console.err << "error: cannot write the output: " << std::strerror(error) << std::endl;
    exit = exit == kExitOk ? kExitInfra : exit;
  }
  console.err.flush();
  return exit;
}

}  // namespace

int RunCli(const std::vector<std::string>& arguments, Console& console) {
  Session session(console);
  CLI::App app;
  BuildApp(app, session);
  if (arguments.empty()) {
    console.err << app.help();
    return Finish(console, kExitUsage);
  }
  try {
    // CLI11 takes them last first.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    // Help and version end the parsing as well.
    if (error.get_exit_code() == 0) {
      app.exit(error, console.out, console.err);
      return Finish(console, kExitOk);
    }
    return Finish(console, FailParse(app, error, console));
  }
  return Finish(console, session.action ? session.action() : kExitUsage);
}

}  // namespace joulefarm::cli
