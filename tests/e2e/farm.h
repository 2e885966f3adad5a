// A whole farm of real programs for one test: a controller, agents, the CLI, the results file and
// HTTP.
//
// Thread rule: the test's thread. Ownership: owns every process it starts and the folder they work
// in. When the test is over everything is stopped in order and nothing may be left; whatever is
// left is named, and killed.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/agent/temp_dir.h"
#include "tests/e2e/process.h"

namespace joulefarm::e2e {

using Environment = std::map<std::string, std::optional<std::string>>;
using Args = std::vector<std::string>;
// NULL is "NULL".
using Rows = std::vector<std::vector<std::string>>;

struct HttpAnswer {
  int status = 0;  // 0: nobody answered
  std::string head;
  std::string body;
};

// A `command` experiment of one cell per value of n, without pauses or power; `more` is added to
// the file.
std::string CommandExperiment(const std::string& name, const std::string& script,
                              const std::string& cells = "[1]", const std::string& more = "");

// $JOULEFARM_ENGINE_DIR of the test itself: the real engine, where there is one.
std::optional<std::string> RealEngineDir();

class FarmTest : public ::testing::Test {
 protected:
  FarmTest();
  ~FarmTest() override;
  void TearDown() override;

  const std::filesystem::path& dir() const { return dir_.path(); }
  std::filesystem::path controller_state() const { return controller_state_; }
  std::filesystem::path agent_state(const std::string& id) const { return dir() / "agents" / id; }
  // Before the first start of the controller.
  void KeepControllerStateIn(const std::filesystem::path& path) { controller_state_ = path; }
  void SetControllerConfig(const std::string& yaml) { controller_config_ = yaml; }

  // The first start takes free ports, the later ones the same again. Waits until it listens.
  void StartController();
  void StopController();
  Process& controller() { return *controller_; }
  const std::string& address() const { return address_; }
  const std::string& http_address() const { return http_address_; }

  // Does not wait for it to connect. State in agent_state(id) unless `args` say otherwise.
  Process& StartAgent(const std::string& id, const Environment& environment = {},
                      const Args& args = {});
  // Waits until the controller sees its device.
  void StartAgentAndWait(const std::string& id, const Environment& environment = {},
                         const Args& args = {});
  bool DeviceIs(const std::string& id, const std::string& link_alloc);
  Process& agent(const std::string& id) { return *agents_.at(id); }

  std::unique_ptr<Process> StartProgram(const std::string& name, const Args& argv,
                                        const Environment& environment = {},
                                        const std::string& input = "");
  std::unique_ptr<Process> StartCli(const Args& args);
  Ended RunCli(const Args& args, const std::string& input = "");
  nlohmann::json CliJson(Args args);
  // Submits the text as exp.yaml with these further arguments.
  Ended Submit(const std::string& yaml, const Args& args = {});
  std::unique_ptr<Process> StartSubmit(const std::string& yaml, const Args& args = {});

  // On the file itself, read-only; a failure of SQLite is a failure of the test.
  Rows Sql(const std::string& query);
  // One value of one row.
  std::string Value(const std::string& query);
  HttpAnswer Http(const std::string& path, const std::string& method = "GET");

  // Processes of this test that it did not start itself: workloads and engines.
  std::vector<std::string> Strays();
  void ExpectNoStrays();

 private:
  Environment BaseEnvironment() const;
  bool TryStartController();
  void StopGently(const std::string& name, Process& process);

  agent::TempDir dir_;
  std::filesystem::path controller_state_;
  std::string controller_config_;
  std::string mark_;
  std::string address_ = "127.0.0.1:0";
  std::string http_address_ = "127.0.0.1:0";
  std::unique_ptr<Process> controller_;
  std::map<std::string, std::unique_ptr<Process>> agents_;
  int launches_ = 0;
};

}  // namespace joulefarm::e2e
