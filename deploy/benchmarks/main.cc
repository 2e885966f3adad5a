// joulefarm-bench: the parts of deploy/bench that need a program. Prints one JSON object per
// figure.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <limits>
#include <string>

#include "deploy/benchmarks/ingest.h"
#include "deploy/benchmarks/observer_figure.h"
#include "deploy/benchmarks/query.h"
#include "deploy/benchmarks/submit_start.h"

int main(int argc, char** argv) {
  CLI::App app{"The parts of deploy/bench that need a program.", "joulefarm-bench"};
  app.require_subcommand(1);
  std::string folder;
  std::string controller;
  int count = 0;
  int code = 0;
  CLI::App* ingest = app.add_subcommand("ingest", "Samples through a controller");
  CLI::App* rows = app.add_subcommand("sqlite-rows", "The same samples as plain rows");
  CLI::App* csv = app.add_subcommand("csv", "The same samples as lines of text");
  CLI::App* query = app.add_subcommand("phase-energies", "Energies of an hour at 5 kHz");
  for (CLI::App* command : {ingest, rows, csv, query}) {
    command->add_option("--folder", folder, "Empty folder for databases")->required();
  }
  CLI::App* submit = app.add_subcommand("submit-start", "From submit to the attempt's begin");
  submit->add_option("--controller", controller, "HOST:PORT of an idle farm")->required();
  submit->add_option("--count", count, "Submissions")
      ->default_val(200)
      ->check(CLI::Range(100, 100000));
  std::string what;
  CLI::App* observer = app.add_subcommand(
      "observer",
      "Loss of tokens/s of an engine while an agent samples; the agent is stopped and "
      "continued all the time");
  joulefarm::bench::ObserverSetting observed;
  observer->add_option("--port", observed.port, "Of a llama-server on this host")->required();
  observer->add_option("--agent", observed.agent, "Process of an agent that samples an attempt")
      ->required()
      ->check(CLI::Range(2, std::numeric_limits<int>::max()));
  observer->add_option("--blocks", observed.blocks, "Of eight segments")
      ->required()
      ->check(CLI::Range(3, 100000));
  observer->add_option("--what", what, "What was run, for the figure's detail")->required();
  ingest->callback([&] { code = joulefarm::bench::MeasureIngest(folder); });
  rows->callback([&] { code = joulefarm::bench::MeasureSqliteRows(folder); });
  csv->callback([&] { code = joulefarm::bench::MeasureCsv(folder); });
  query->callback([&] { code = joulefarm::bench::MeasurePhaseEnergies(folder); });
  submit->callback([&] { code = joulefarm::bench::MeasureSubmitStart(controller, count); });
  observer->callback([&] { code = joulefarm::bench::MeasureObserver(observed, what); });
  CLI11_PARSE(app, argc, argv);
  return code;
}
