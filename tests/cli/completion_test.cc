// The completion scripts, run by the shells themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/cli/cli_runner.h"

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Completion : public ::testing::Test {
 protected:
  Completion()
      : cli_(""),
        directory_(std::filesystem::temp_directory_path() /
                   ("jf-cli-completion-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(directory_);
    // Stands for the program where ids are asked for.
    Write("stub", "#!/bin/sh\n[ \"$3 $4\" = '-o name' ] && echo \"$1-1 $1-2\"\n");
    std::filesystem::permissions(directory_ / "stub", std::filesystem::perms::owner_all);
  }
  ~Completion() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name, std::ios::binary) << text;
  }

  static std::string Output(const std::string& command) {
    FILE* process = ::popen((command + " 2>&1").c_str(), "r");
    std::string out;
    std::array<char, 512> piece;
    while (std::fgets(piece.data(), piece.size(), process) != nullptr) out += piece.data();
    const int status = ::pclose(process);
    return status == 0 ? out : "failed: " + out;
  }

  // What bash offers after these words, the last of which is being typed; joined by blanks.
  std::string Offered(const std::vector<std::string>& words) {
    const CliOutcome script = cli_.Run({"completion", "bash"});
    EXPECT_EQ(script.exit, 0) << script.err;
    Write("script", script.out);
    std::string test = "source '" + (directory_ / "script").string() + "'\nCOMP_WORDS=('" +
                       (directory_ / "stub").string() + "'";
    for (const std::string& word : words) test += " '" + word + "'";
    test += ")\nCOMP_CWORD=" + std::to_string(words.size()) +
            "\n_joulefarm\nprintf '%s' \"${COMPREPLY[*]}\"\n";
    Write("test", test);
    return Output("bash '" + (directory_ / "test").string() + "'");
  }

  CliRunner cli_;
  std::filesystem::path directory_;
};

TEST_F(Completion, Commands) {
  EXPECT_EQ(Offered({"exp"}), "experiment");
  EXPECT_THAT(Offered({"job", ""}), HasSubstr("list get"));
  EXPECT_EQ(Offered({"result", "tr"}), "trace");
  EXPECT_EQ(Offered({"result", "rec"}), "recompute");
  EXPECT_EQ(Offered({"result", "recompute", "job-2"}), "job-2");
  EXPECT_EQ(Offered({"nonsense", "x"}), "");
}

TEST_F(Completion, Options) {
  EXPECT_EQ(Offered({"result", "trace", "job-1", "--pl"}), "--plot");
  EXPECT_THAT(Offered({"job", "list", "--"}), HasSubstr("--filter"));
  EXPECT_THAT(Offered({"job", "list", "--"}), Not(HasSubstr("--svg")));
  EXPECT_THAT(Offered({"--con"}), HasSubstr("--controller"));
}

TEST_F(Completion, IdsAreAskedFor) {
  EXPECT_EQ(Offered({"job", "get", ""}), "job-1 job-2");
  EXPECT_EQ(Offered({"result", "trace", "job-2"}), "job-2");
  EXPECT_EQ(Offered({"result", "list", "--experiment", ""}), "experiment-1 experiment-2");
  EXPECT_EQ(Offered({"result", "list", "--device", "dev"}), "device-1 device-2");
  EXPECT_EQ(Offered({"result", "compare", "experiment-2"}), "experiment-2");
}

TEST_F(Completion, FormatsAndFiles) {
  EXPECT_EQ(Offered({"job", "list", "-o", "json"}), "json jsonl");
  EXPECT_EQ(Offered({"result", "trace", "job-1", "-o", ""}), "table csv json jsonl");
  const std::string file = (directory_ / "stu").string();
  EXPECT_EQ(Offered({"result", "trace", "job-1", "--svg", file}), file + "b");
  EXPECT_EQ(Offered({"completion", "z"}), "zsh");
  // A number is anybody's guess.
  EXPECT_EQ(Offered({"job", "list", "--limit", ""}), "");
}

TEST_F(Completion, EveryCommandHasItsOptionsInEveryScript) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const CliOutcome outcome = cli_.Run({"completion", shell});
    EXPECT_EQ(outcome.exit, 0);
    EXPECT_THAT(outcome.out, HasSubstr("result trace")) << shell;
    EXPECT_THAT(outcome.out, HasSubstr("plot")) << shell;
    EXPECT_THAT(outcome.out, HasSubstr("job list -o name")) << shell;
  }
  EXPECT_EQ(cli_.Run({"completion", "tcsh"}).exit, 2);
}

TEST_F(Completion, TheOtherShellsReadTheirScripts) {
  // zsh looks at the syntax only: its completion system wants a terminal.
  const std::map<std::string, std::string> commands{{"zsh", "zsh -n"},
                                                    {"fish", "fish --no-config"}};
  bool any = false;
  for (const auto& [shell, command] : commands) {
    if (std::system(("command -v " + shell + " > /dev/null 2>&1").c_str()) != 0) continue;
    any = true;
    Write("script", cli_.Run({"completion", shell}).out);
    EXPECT_EQ(Output("HOME='" + directory_.string() + "' " + command + " '" +
                     (directory_ / "script").string() + "'"),
              "");
  }
  if (!any) GTEST_SKIP() << "neither zsh nor fish is here";
}

}  // namespace
}  // namespace joulefarm::cli
