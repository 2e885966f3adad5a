#include "cli/doctor/local_agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;

// A folder with a joulefarm-agent of the test's making, as if it were on PATH.
class LocalAgent : public ::testing::Test {
 protected:
  LocalAgent() {
    std::string pattern = (std::filesystem::temp_directory_path() / "jf-agent-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~LocalAgent() override { std::filesystem::remove_all(directory_); }

  void Make(const std::string& script) {
    const auto file = directory_ / "joulefarm-agent";
    std::ofstream(file) << "#!/bin/sh\n" << script << "\n";
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  }
  absl::StatusOr<std::string> Run() {
    return RunLocalAgent({"doctor", "-o", "json"},
                         absl::StrCat("/nonexistent:", directory_.string()));
  }

  std::filesystem::path directory_;
};

TEST_F(LocalAgent, IsFoundOnPathAndItsWordsAreReturnedWhateverItsExitCode) {
  Make("echo \"$@\"; echo noise >&2; exit 3");
  const auto said = Run();
  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_EQ(*said, "doctor -o json\n");
}

TEST_F(LocalAgent, ThereIsNone) {
  EXPECT_TRUE(absl::IsNotFound(Run().status()));
  // A file that may not be executed is none either.
  std::ofstream(directory_ / "joulefarm-agent") << "text";
  EXPECT_TRUE(absl::IsNotFound(Run().status()));
}

TEST_F(LocalAgent, OneThatCrashesOrCannotBeRunIsToldApart) {
  Make("kill -SEGV $$");
  auto said = Run();
  EXPECT_TRUE(absl::IsUnavailable(said.status())) << said.status();
  EXPECT_THAT(std::string(said.status().message()), HasSubstr("crashed"));
  const auto file = directory_ / "joulefarm-agent";
  std::ofstream(file, std::ios::trunc) << "#!/nonexistent/interpreter\n";
  said = Run();
  EXPECT_TRUE(absl::IsUnavailable(said.status())) << said.status();
  EXPECT_THAT(std::string(said.status().message()), HasSubstr("cannot run"));
}

TEST_F(LocalAgent, OneThatTalksWithoutEndIsEnded) {
  Make("yes");
  const auto said = Run();
  EXPECT_TRUE(absl::IsUnavailable(said.status()));
}

}  // namespace
}  // namespace joulefarm::cli
