#include "controller/store/enum_text.h"

#include <gtest/gtest.h>

#include "joulefarm/v1/device.pb.h"
#include "joulefarm/v1/job.pb.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::controller {
namespace {

TEST(EnumTextTest, StatesAreUpperCaseWithoutPrefix) {
  EXPECT_EQ(EnumText(v1::JOB_STATE_SUCCEEDED), "SUCCEEDED");
  EXPECT_EQ(EnumText(v1::DEVICE_LINK_ONLINE), "ONLINE");
  EXPECT_EQ(EnumText(v1::FAILURE_CLASS_OOM), "OOM");
  EXPECT_EQ(EnumText(v1::QUALITY_VALID), "VALID");
}

TEST(EnumTextTest, VocabularyIsLowerCase) {
  EXPECT_EQ(EnumText(v1::PROVENANCE_ESTIMATED), "estimated");
  EXPECT_EQ(EnumText(v1::SCOPE_BOARD_RAIL), "board_rail");
  EXPECT_EQ(EnumText(v1::PHASE_IDLE_UNLOADED), "idle_unloaded");
  EXPECT_EQ(EnumText(v1::DEVICE_KIND_SERVER), "server");
  EXPECT_EQ(EnumText(v1::STREAM_TOKEN), "token");
}

TEST(EnumTextTest, UnspecifiedAndUnknownAreEmpty) {
  EXPECT_EQ(EnumText(v1::JOB_STATE_UNSPECIFIED), "");
  EXPECT_EQ(EnumText(static_cast<v1::JobState>(99)), "");
}

TEST(EnumTextTest, EveryWordLeadsBack) {
  for (const google::protobuf::EnumDescriptor* type :
       {v1::JobState_descriptor(), v1::Phase_descriptor(), v1::Provenance_descriptor(),
        v1::Quantity_descriptor(), v1::Stream_descriptor()}) {
    for (int i = 1; i < type->value_count(); ++i) {
      const int number = type->value(i)->number();
      EXPECT_EQ(EnumNumber(type, EnumText(type, number)), number) << type->value(i)->name();
    }
  }
  EXPECT_EQ(EnumNumber(v1::JobState_descriptor(), "DREAMING"), std::nullopt);
  EXPECT_EQ(EnumNumber(v1::JobState_descriptor(), ""), std::nullopt);
}

}  // namespace
}  // namespace joulefarm::controller
