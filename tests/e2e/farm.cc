#include "tests/e2e/farm.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/loopback.h"

namespace joulefarm::e2e {
namespace {

constexpr char kMarkName[] = "JOULEFARM_E2E_FARM";
// Long enough that a loaded machine does not lose its lease, short enough that waiting for one is
// quick.
constexpr char kControllerConfig[] = "heartbeat: 500ms\nttl: 15s\ngrace: 1s\n";

void PrintFile(const std::filesystem::path& path) {
  const std::string text = ReadFile(path);
  if (!text.empty()) std::cout << "---- " << path.filename().string() << "\n" << text << std::endl;
}

std::string Column(sqlite3_stmt* statement, int i) {
  if (sqlite3_column_type(statement, i) == SQLITE_NULL) return "NULL";
  return reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
}

}  // namespace

std::string CommandExperiment(const std::string& name, const std::string& script,
                              const std::string& cells, const std::string& more) {
  return absl::StrCat(
      "name: ", name,
      "\nworkloads:\n  work:\n    kind: command\n    command:\n      - sh\n      - -c\n      - |\n "
      "       ",
      absl::StrReplaceAll(script, {{"\n", "\n        "}}), "\nmatrix: {n: ", cells,
      "}\npower: {require: none}\nplan: {settle: 0s, idle: 0s, pause: 0s, tail: 0s}\n", more);
}

std::optional<std::string> RealEngineDir() {
  const char* dir = std::getenv("JOULEFARM_ENGINE_DIR");
  if (dir == nullptr) return std::nullopt;
  // A directory of that name, as a build tree has one, may be "executed" as well.
  const std::string server = absl::StrCat(dir, "/llama-server");
  std::error_code error;
  return std::filesystem::is_regular_file(server, error) && access(server.c_str(), X_OK) == 0
             ? std::optional<std::string>(dir)
             : std::nullopt;
}

FarmTest::FarmTest()
    : controller_state_(dir() / "controller"),
      controller_config_(kControllerConfig),
      mark_(absl::StrCat(kMarkName, "=", dir().string())) {
  std::filesystem::create_directories(dir() / "log");
  std::filesystem::create_directories(dir() / "home");
}

FarmTest::~FarmTest() { KillMarked(mark_); }

void FarmTest::StopGently(const std::string& name, Process& process) {
  if (!process.Running()) return;
  process.Signal(SIGCONT);
  process.Signal(SIGTERM);
  const std::optional<int> code = process.Wait();
  EXPECT_EQ(code, std::optional<int>(0))
      << name << " did not end well on SIGTERM (no value: not at all)";
  process.Kill9();
}

void FarmTest::TearDown() {
  for (auto& [id, process] : agents_) StopGently("agent " + id, *process);
  if (controller_) StopGently("controller", *controller_);
  EXPECT_EQ(absl::StrJoin(Strays(), "\n"), "") << "left behind";
  KillMarked(mark_);
  if (!HasFailure()) return;
  for (const auto& entry : std::filesystem::directory_iterator(dir() / "log"))
    PrintFile(entry.path());
}

Environment FarmTest::BaseEnvironment() const {
  return {{kMarkName, dir().string()},
          {"HOME", (dir() / "home").string()},
          {"XDG_CONFIG_HOME", std::nullopt},
          {"XDG_STATE_HOME", std::nullopt},
          {"JOULEFARM_CONTROLLER", address_},
          {"JOULEFARM_ENGINE_DIR", std::nullopt},
          {"NO_COLOR", "1"},
          {"NOTIFY_SOCKET", std::nullopt}};
}

std::unique_ptr<Process> FarmTest::StartProgram(const std::string& name, const Args& argv,
                                                const Environment& environment,
                                                const std::string& input) {
  Launch launch;
  launch.argv = argv;
  launch.environment = BaseEnvironment();
  for (const auto& [key, value] : environment) launch.environment[key] = value;
  launch.out_prefix = dir() / "log" / absl::StrCat(++launches_, "-", name);
  if (!input.empty()) {
    launch.input = launch.out_prefix.string() + ".in";
    WriteFile(launch.input, input);
  }
  return std::make_unique<Process>(std::move(launch));
}

void FarmTest::StartController() {
  // After a crash its port may be taken for a moment, even by an agent that dials it.
  ASSERT_TRUE(Eventually([this] { return TryStartController(); }))
      << "the controller does not start:\n"
      << controller_->err();
}

bool FarmTest::TryStartController() {
  WriteFile(dir() / "controller.yaml", controller_config_);
  std::error_code ignored;
  std::filesystem::remove(controller_state() / "address", ignored);
  controller_.reset();
  controller_ = StartProgram("controller", {JF_CONTROLLER, "--listen", address_, "--http",
                                            http_address_, "--state", controller_state().string(),
                                            "--config", (dir() / "controller.yaml").string()});
  std::vector<std::string> lines;
  Eventually([&] {
    lines = absl::StrSplit(ReadFile(controller_state() / "address"), '\n');
    return lines.size() >= 3 || !controller_->Running();
  });
  if (lines.size() < 3) return false;
  address_ = lines[0];
  http_address_ = lines[1];
  return true;
}

void FarmTest::StopController() { StopGently("controller", *controller_); }

Process& FarmTest::StartAgent(const std::string& id, const Environment& environment,
                              const Args& args) {
  std::filesystem::create_directories(dir() / "agents");
  Args argv = {JF_AGENT, "--controller", address_, "--id", id, "--state", agent_state(id).string()};
  // The last one of a flag given twice would be refused, so what the test says replaces.
  for (std::size_t i = 0; i < args.size(); i += 2) {
    const auto known = std::find(argv.begin(), argv.end(), args[i]);
    if (known != argv.end()) {
      *(known + 1) = args[i + 1];
    } else {
      argv.insert(argv.end(), {args[i], args[i + 1]});
    }
  }
  Environment all = {{"E2E_AGENT", id}};
  for (const auto& [key, value] : environment) all[key] = value;
  agents_[id] = nullptr;
  agents_[id] = StartProgram("agent-" + id, argv, all);
  return *agents_[id];
}

void FarmTest::StartAgentAndWait(const std::string& id, const Environment& environment,
                                 const Args& args) {
  StartAgent(id, environment, args);
  ASSERT_TRUE(Eventually([&] { return DeviceIs(id, "ONLINE FREE") || !agents_[id]->Running(); }));
  ASSERT_TRUE(agents_[id]->Running()) << agents_[id]->err();
}

bool FarmTest::DeviceIs(const std::string& id, const std::string& link_alloc) {
  const Rows rows =
      Sql(absl::StrCat("select link || ' ' || alloc from device where id = '", id, "'"));
  return rows.size() == 1 && rows[0][0] == link_alloc;
}

std::unique_ptr<Process> FarmTest::StartCli(const Args& args) {
  Args argv = {JF_CLI};
  argv.insert(argv.end(), args.begin(), args.end());
  return StartProgram("cli", argv);
}

Ended FarmTest::RunCli(const Args& args, const std::string& input) {
  Args argv = {JF_CLI};
  argv.insert(argv.end(), args.begin(), args.end());
  return StartProgram("cli", argv, {}, input)->Finish();
}

nlohmann::json FarmTest::CliJson(Args args) {
  args.insert(args.end(), {"-o", "json"});
  const Ended ended = RunCli(args);
  EXPECT_EQ(ended.code, 0) << absl::StrJoin(args, " ") << "\n" << ended.err;
  nlohmann::json json = nlohmann::json::parse(ended.out, nullptr, /*allow_exceptions=*/false);
  EXPECT_FALSE(json.is_discarded()) << ended.out;
  return json;
}

std::unique_ptr<Process> FarmTest::StartSubmit(const std::string& yaml, const Args& args) {
  const std::string file = (dir() / "exp.yaml").string();
  WriteFile(file, yaml);
  Args all = {"submit", "-f", file};
  all.insert(all.end(), args.begin(), args.end());
  return StartCli(all);
}

Ended FarmTest::Submit(const std::string& yaml, const Args& args) {
  return StartSubmit(yaml, args)->Finish();
}

Rows FarmTest::Sql(const std::string& query) {
  Rows rows;
  sqlite3* db = nullptr;
  sqlite3_stmt* statement = nullptr;
  const std::string file = (controller_state() / "joulefarm.db").string();
  int code = sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READONLY, nullptr);
  if (code == SQLITE_OK) sqlite3_busy_timeout(db, 30'000);
  if (code == SQLITE_OK) code = sqlite3_prepare_v2(db, query.c_str(), -1, &statement, nullptr);
  while (code == SQLITE_OK || code == SQLITE_ROW) {
    code = sqlite3_step(statement);
    if (code != SQLITE_ROW) break;
    std::vector<std::string>& row = rows.emplace_back();
    for (int i = 0; i < sqlite3_column_count(statement); ++i) row.push_back(Column(statement, i));
  }
  EXPECT_EQ(code, SQLITE_DONE) << query << ": " << sqlite3_errmsg(db);
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return rows;
}

std::string FarmTest::Value(const std::string& query) {
  const Rows rows = Sql(query);
  return rows.size() == 1 && rows[0].size() == 1 ? rows[0][0] : absl::StrCat(rows.size(), " rows");
}

HttpAnswer FarmTest::Http(const std::string& path, const std::string& method) {
  HttpAnswer answer;
  const int fd = ConnectOnLoopback(http_address_);
  if (fd < 0) return answer;
  const timeval patience{30, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const std::string request =
      absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: farm\r\nConnection: close\r\n\r\n");
  send(fd, request.data(), request.size(), MSG_NOSIGNAL);
  std::string all;
  char buffer[4096];
  for (ssize_t n = 0; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;)
    all.append(buffer, static_cast<std::size_t>(n));
  close(fd);
  const std::size_t end = all.find("\r\n\r\n");
  if (end == std::string::npos || all.size() < 12) return answer;
  answer.head = all.substr(0, end);
  answer.body = all.substr(end + 4);
  (void)absl::SimpleAtoi(all.substr(9, 3), &answer.status);
  return answer;
}

std::vector<std::string> FarmTest::Strays() {
  std::vector<pid_t> own = {getpid()};
  if (controller_) own.push_back(controller_->pid());
  for (const auto& [id, process] : agents_) {
    if (process) own.push_back(process->pid());
  }
  std::vector<std::string> strays;
  for (std::string& found : FindMarked(mark_, own)) {
    // A CLI that the test lets run is no workload.
    if (found.find(absl::StrCat(" ", JF_CLI, " ")) == std::string::npos)
      strays.push_back(std::move(found));
  }
  return strays;
}

void FarmTest::ExpectNoStrays() {
  EXPECT_TRUE(Eventually([this] { return Strays().empty(); }, std::chrono::seconds(20)))
      << absl::StrJoin(Strays(), "\n");
}

}  // namespace joulefarm::e2e
