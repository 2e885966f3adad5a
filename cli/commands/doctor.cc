#include <CLI/App.hpp>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands/commands.h"
#include "cli/doctor/finding.h"

namespace joulefarm::cli {
namespace {

constexpr double kClockWarning_s = 1.0;

struct DoctorOptions {
  bool thorough = false;
  std::string format = "table";
};

Examined ExamineThisHost(Console& console) {
  Examined host{"This host", {}};
  const auto said = console.run_local_agent({"doctor", "-o", "json"});
  if (absl::IsNotFound(said.status())) {
    host.findings.push_back({Level::kNotChecked, "host",
                             "not checked: no joulefarm-agent here, beside this program or on PATH",
                             ""});
    return host;
  }
  auto findings = said.ok() ? ParseAgentFindings(*said) : said.status();
  if (findings.ok()) {
    host.findings = *std::move(findings);
    // Which controller the agent here is told to dial is in flags and a file that only it knows;
    // the one this program talks to is looked at below.
    std::erase_if(host.findings, [](const Finding& one) { return one.area == "controller"; });
  } else {
    host.findings.push_back(
        {Level::kWarning, "host",
         absl::StrCat("not checked: ", absl::string_view(findings.status().message())),
         "run `joulefarm-agent doctor` by hand; it may be of another version"});
  }
  return host;
}

Finding Versions(const std::string& controller) {
  const std::string mine = JOULEFARM_VERSION;
  if (controller == mine)
    return {Level::kOk, "version", absl::StrCat("controller and CLI are both ", mine), ""};
  return {Level::kWarning, "version",
          absl::StrCat("the controller is ", controller, ", this program ", mine),
          "bring controller, agents and CLI to one version"};
}

Finding ClockDifference(std::int64_t ahead_ns, std::int64_t bound_ns) {
  const double ahead_s = static_cast<double>(ahead_ns) * 1e-9;
  const double bound_s = static_cast<double>(bound_ns) * 1e-9;
  if (std::abs(ahead_s) <= bound_s + kClockWarning_s) {
    return {Level::kOk, "time",
            absl::StrFormat("its clock and this host's differ by less than %.3g s",
                            std::max(0.001, std::abs(ahead_s) + bound_s)),
            ""};
  }
  return {Level::kWarning, "time",
          absl::StrFormat("its clock is %.3g s %s this host's", std::abs(ahead_s),
                          ahead_s > 0 ? "ahead of" : "behind"),
          "synchronise both hosts' clocks"};
}

// An address that is not the controller's is a finding, not the end.
Examined ExamineController(Session& session, bool thorough) {
  Examined place{"Controller", {}};
  const auto client = session.Client();
  if (!client.ok()) {
    place.findings.push_back({Level::kBroken, "controller", std::string(client.status().message()),
                              "name it with --controller HOST:PORT or JOULEFARM_CONTROLLER"});
    return place;
  }
  place.where = absl::StrCat("Controller at ", (*client)->address());
  const auto version = (*client)->GetVersion();
  if (!version.ok()) {
    place.findings.push_back(
        {Level::kBroken, "controller",
         absl::StrCat("it does not answer: ", absl::string_view(version.status().message())),
         "start joulefarm-controller (`systemctl status joulefarm-controller`, and its log), or "
         "name another one with --controller HOST:PORT or JOULEFARM_CONTROLLER"});
    return place;
  }
  const auto diagnosed = (*client)->Diagnose(thorough);
  if (diagnosed.ok()) place.findings = FromController(diagnosed->response);
  place.findings.push_back(Versions(version->version()));
  if (!diagnosed.ok()) {
    place.findings.push_back(
        {absl::IsUnimplemented(diagnosed.status()) ? Level::kWarning : Level::kBroken, "controller",
         absl::StrCat("it could not look at itself: ",
                      absl::string_view(diagnosed.status().message())),
         "see its log; an older controller cannot"});
  } else if (diagnosed->clock_ahead_ns) {
    place.findings.push_back(
        ClockDifference(*diagnosed->clock_ahead_ns, diagnosed->clock_bound_ns));
  }
  return place;
}

int RunDoctor(Session& session, const DoctorOptions& options) {
  Console& console = session.console();
  std::vector<Examined> places;
  places.push_back(ExamineThisHost(console));
  places.push_back(ExamineController(session, options.thorough));
  if (console.interrupted()) return session.Fail(absl::CancelledError("interrupted"));
  const Format format = ParseFormat(options.format).value_or(Format::kTable);
  if (const auto printer = MakeMachinePrinter(format, console.out)) {
    const Table table = DoctorTable(places);
    printer->Begin(table.columns);
    for (const RowValues& row : table.rows) printer->Row(row);
    printer->End();
  } else {
    console.out << DoctorText(places, console.LookOfOut());
  }
  return AnyBroken(places) ? kExitInfra : kExitOk;
}

}  // namespace

void AddDoctor(CLI::App& app, Session& session) {
  auto options = std::make_shared<DoctorOptions>();
  CLI::App* command = AddCommand(
      app, "doctor", "Look for what is wrong here and with the farm, and say what to do",
      "  joulefarm doctor\n"
      "  joulefarm doctor --thorough            also reads the whole database and every artifact\n"
      "  joulefarm doctor -o json",
      "This host: engines, sensors and their permissions, memory, disk, time, the agent's state "
      "(by joulefarm-agent doctor, which by itself also says whether it can dial its "
      "controller).\n"
      "The controller: that it answers and writes, its database, disk, clock, artifacts, agents, "
      "devices and versions.\n"
      "Exit code 3 when something needed is broken, 0 otherwise.");
  command->group("The farm");
  command->add_flag("--thorough", options->thorough,
                    "also read the whole database and every artifact; takes its time");
  AddFormat(*command, options->format);
  command->callback(
      [=, &session] { session.action = [=, &session] { return RunDoctor(session, *options); }; });
}

}  // namespace joulefarm::cli
