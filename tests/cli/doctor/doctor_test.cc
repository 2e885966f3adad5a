// `joulefarm doctor`: what it makes of what the agent and the controller say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/doctor/finding.h"
#include "tests/cli/cli_runner.h"
#include "tests/cli/fake_farm.h"

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::ordered_json;

v1::DiagnoseResponse Says(v1::DiagnosisLevel level, const std::string& area,
                          const std::string& text, const std::string& cure) {
  v1::DiagnoseResponse response;
  v1::Diagnosis& one = *response.add_findings();
  one.set_level(level);
  one.set_area(area);
  one.set_text(text);
  one.set_cure(cure);
  return response;
}

class Doctor : public ::testing::Test {
 protected:
  Doctor() : cli_(farm_.address()) {
    farm_.OnDiagnose([this](bool thorough) {
      thorough_ = thorough;
      return response_;
    });
  }
  FakeFarm farm_;
  CliRunner cli_;
  bool thorough_ = false;
  v1::DiagnoseResponse response_ =
      Says(v1::DIAGNOSIS_LEVEL_OK, "database", "every page is sound", "");
};

TEST_F(Doctor, WithoutAnAgentHereOnlyTheControllerIsLookedAt) {
  const CliOutcome outcome = cli_.Run({"doctor"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("This host\n"));
  EXPECT_THAT(outcome.out, HasSubstr("-       host      not checked: no joulefarm-agent here"));
  EXPECT_THAT(outcome.out, HasSubstr("Controller at " + farm_.address() + "\n"));
  EXPECT_THAT(outcome.out, HasSubstr("ok      database  every page is sound\n"));
  EXPECT_THAT(outcome.out, HasSubstr("warn    version   the controller is 9.8.7, this program "));
  EXPECT_FALSE(thorough_);
}

TEST_F(Doctor, BrokenThingsOfEitherSideMakeExitThree) {
  cli_.local_agent =
      R"([{"level": "BROKEN", "area": "disk", "text": "it is full", "cure": "free some"}])";
  CliOutcome outcome = cli_.Run({"doctor", "--thorough"});
  EXPECT_EQ(outcome.exit, 3);
  EXPECT_TRUE(thorough_);
  EXPECT_THAT(outcome.out, HasSubstr("BROKEN  disk      it is full\n"
                                     "                    → free some\n"));
  EXPECT_THAT(outcome.out, HasSubstr("1 broken, 1 warning, "));

  cli_.local_agent = R"([{"level": "WARNING", "area": "time", "text": "late", "cure": null}])";
  EXPECT_EQ(cli_.Run({"doctor"}).exit, 0) << "warnings are allowed";
  response_ = Says(v1::DIAGNOSIS_LEVEL_BROKEN, "database", "it is damaged", "use a backup");
  EXPECT_EQ(cli_.Run({"doctor"}).exit, 3);
}

TEST_F(Doctor, AControllerThatIsNotThereIsAFindingWithItsCure) {
  farm_.Stop();
  const CliOutcome outcome = cli_.Run({"doctor"});
  EXPECT_EQ(outcome.exit, 3);
  EXPECT_THAT(outcome.out, HasSubstr("it does not answer: Connection refused"));
  EXPECT_THAT(outcome.out, HasSubstr("→ start joulefarm-controller"));
}

TEST_F(Doctor, WhatAnAgentWithoutItsFlagsWouldDialSaysNothing) {
  cli_.local_agent =
      R"([{"level": "OK", "area": "engine", "text": "llama.cpp", "cure": null},
          {"level": "WARNING", "area": "controller", "text": "nothing answers", "cure": "start"}])";
  const CliOutcome outcome = cli_.Run({"doctor"});
  EXPECT_THAT(outcome.out, HasSubstr("llama.cpp"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("nothing answers")));
}

TEST_F(Doctor, AnAgentThatSpeaksInTonguesIsAWarning) {
  cli_.local_agent = "joulefarm-agent: unknown command doctor";
  const CliOutcome outcome = cli_.Run({"doctor"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_THAT(outcome.out, HasSubstr("not checked: what joulefarm-agent said cannot be read"));
}

TEST_F(Doctor, JsonIsAnArrayWithEveryKey) {
  cli_.local_agent = R"([{"level": "OK", "area": "engine", "text": "llama.cpp", "cure": null}])";
  const CliOutcome outcome = cli_.Run({"doctor", "-o", "json"});
  const Json rows = Json::parse(outcome.out);
  ASSERT_GE(rows.size(), 3u);
  EXPECT_EQ(rows[0]["level"], "OK");
  EXPECT_EQ(rows[0]["where"], "This host");
  EXPECT_EQ(rows[0]["area"], "engine");
  EXPECT_EQ(rows[0]["cure"], nullptr);
}

TEST_F(Doctor, ClocksThatDifferAreToldInTheRightDirection) {
  farm_.ShiftClock(std::chrono::hours(1));
  EXPECT_THAT(cli_.Run({"doctor"}).out, HasSubstr("s ahead of this host's"));
  farm_.ShiftClock(std::chrono::hours(-1));
  EXPECT_THAT(cli_.Run({"doctor"}).out, HasSubstr("s behind this host's"));
  farm_.ShiftClock(std::chrono::seconds(0));
  EXPECT_THAT(cli_.Run({"doctor"}).out, Not(HasSubstr("this host's\n")));
}

TEST(DoctorText, LongTextsAreBrokenBetweenWordsUnderTheirColumn) {
  const std::vector<Examined> places{
      {"This host",
       {{Level::kWarning, "time", "the clock is not synchronised here at all",
         "switch on systemd-timesyncd or chrony"}}}};
  EXPECT_EQ(DoctorText(places, {.width = 42, .color = false}),
            "This host\n"
            "  warn    time  the clock is not\n"
            "                synchronised here at all\n"
            "                → switch on\n"
            "                  systemd-timesyncd or\n"
            "                  chrony\n"
            "\n"
            "1 warning, 0 ok\n");
  EXPECT_THAT(DoctorText(places, {.width = 0, .color = true}), HasSubstr("\x1b[33mwarn"));
}

}  // namespace
}  // namespace joulefarm::cli
