#include "cli/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;

constexpr char kFile[] =
    "controller: lab-host:7070\n"
    "contexts:\n"
    "  lab: {controller: lab-host:7071}\n"
    "  desk:\n"
    "    controller: 127.0.0.1:7072\n"
    "current: lab\n";

std::string ErrorOf(const std::string& text) {
  const auto config = ParseConfig(text, "config.yaml");
  EXPECT_FALSE(config.ok());
  return std::string(config.status().message());
}

TEST(Config, Parses) {
  const auto config = ParseConfig(kFile, "config.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->controller, "lab-host:7070");
  EXPECT_EQ(config->contexts.at("desk"), "127.0.0.1:7072");
  EXPECT_EQ(config->current, "lab");
  EXPECT_TRUE(ParseConfig("", "config.yaml").ok());
}

TEST(Config, ErrorsNameThePlaceAndTheNearestKey) {
  EXPECT_THAT(
      ErrorOf("contoller: x:1\n"),
      HasSubstr("config.yaml:1:1: unknown key \"contoller\"; did you mean \"controller\"?"));
  EXPECT_THAT(ErrorOf("controller: a:1\ncontroller: b:1\n"),
              HasSubstr("config.yaml:2:1: key \"controller\" twice"));
  EXPECT_THAT(ErrorOf("controller: [a]\n"),
              HasSubstr("config.yaml:1:13: controller must be a text"));
  EXPECT_THAT(ErrorOf("contexts: {lab: {}}\n"), HasSubstr("names no controller"));
  EXPECT_THAT(ErrorOf("contexts: {lab: {controller: a:1}}\ncurrent: lap\n"),
              HasSubstr("config.yaml:2:10: there is no context \"lap\"; did you mean \"lab\"?"));
  EXPECT_THAT(ErrorOf("- a\n"), HasSubstr("must be a mapping"));
  EXPECT_THAT(ErrorOf("a: [\n"), HasSubstr("config.yaml:2:1: "));
}

class ResolveController : public ::testing::Test {
 protected:
  ResolveController()
      : home_(std::filesystem::temp_directory_path() /
              ("jf-cli-config-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(home_ / ".config/joulefarm");
    environment_["HOME"] = home_.string();
  }
  ~ResolveController() override { std::filesystem::remove_all(home_); }

  void Write(const std::string& text) {
    std::ofstream(home_ / ".config/joulefarm/config.yaml") << text;
  }

  absl::StatusOr<std::string> Resolve(std::optional<std::string> flag = {},
                                      std::optional<std::string> context = {}) {
    return joulefarm::cli::ResolveController(
        {flag, context, [this](const std::string& name) -> std::optional<std::string> {
           const auto found = environment_.find(name);
           if (found == environment_.end()) return std::nullopt;
           return found->second;
         }});
  }

  std::filesystem::path home_;
  std::map<std::string, std::string> environment_;
};

TEST_F(ResolveController, EachSourceHidesTheNext) {
  EXPECT_EQ(*Resolve(), "127.0.0.1:7070");
  Write("controller: file:1\n");
  EXPECT_EQ(*Resolve(), "file:1");
  Write(kFile);
  EXPECT_EQ(*Resolve(), "lab-host:7071");
  environment_["JOULEFARM_CONTROLLER"] = "variable:2";
  EXPECT_EQ(*Resolve(), "variable:2");
  EXPECT_EQ(*Resolve({}, "desk"), "127.0.0.1:7072");
  EXPECT_EQ(*Resolve("flag:3", "desk"), "flag:3");
}

TEST_F(ResolveController, ABrokenFileMattersOnlyWhenAsked) {
  Write("nonsense: 1\n");
  EXPECT_EQ(*Resolve("flag:3"), "flag:3");
  EXPECT_EQ(Resolve().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ResolveController, XdgConfigHomeComesFirst) {
  Write(kFile);
  environment_["XDG_CONFIG_HOME"] = (home_ / "elsewhere").string();
  EXPECT_EQ(*Resolve(), "127.0.0.1:7070");
}

TEST_F(ResolveController, WrongChoicesAreNamed) {
  Write(kFile);
  EXPECT_THAT(std::string(Resolve({}, "dest").status().message()),
              HasSubstr("did you mean \"desk\"?"));
  for (const char* wrong : {"host", "host:", ":70", "host:0", "host:65536", "host:http"}) {
    EXPECT_EQ(Resolve(wrong).status().code(), absl::StatusCode::kInvalidArgument) << wrong;
  }
  EXPECT_EQ(*Resolve("[::1]:7070"), "[::1]:7070");
}

}  // namespace
}  // namespace joulefarm::cli
