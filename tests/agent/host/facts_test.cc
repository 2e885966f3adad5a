#include "agent/host/facts.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/agent/host/host_tree.h"

namespace joulefarm::agent {
namespace {

TEST(Facts, ALaptop) {
  HostTree host;
  host.Write("proc/cpuinfo",
             "processor\t: 0\nmodel name\t: Intel(R) Core(TM) i7\nflags\t\t: fpu lm "
             "sse2\n\nprocessor\t: 1\nmodel name\t: "
             "Intel(R) Core(TM) i7\n");
  host.Write("proc/meminfo", "MemTotal:       16315036 kB\nMemFree: 1 kB\n");
  host.Write("etc/os-release", "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
  host.Write("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
  host.Write("proc/sys/kernel/hostname", "edge\n");
  host.Write("sys/class/dmi/id/chassis_type", "10\n");
  const v1::DeviceFacts facts = ReadFacts(host.paths());
  EXPECT_EQ(facts.kind(), v1::DEVICE_KIND_LAPTOP);
  EXPECT_EQ(facts.cpu_model(), "Intel(R) Core(TM) i7");
  EXPECT_EQ(facts.cores(), 2);
  EXPECT_EQ(facts.ram_mib(), 15932);
  EXPECT_EQ(facts.os(), "linux");
  EXPECT_EQ(facts.os_version(), "Debian GNU/Linux 12 (bookworm)");
  EXPECT_EQ(facts.kernel(), "6.1.0-18-amd64");
  EXPECT_EQ(facts.hostname(), "edge");
  EXPECT_EQ(facts.arch(), "x86_64");
  EXPECT_FALSE(facts.has_soc());
  host.Write("sys/class/dmi/id/chassis_type", "23\n");
  EXPECT_EQ(ReadFacts(host.paths()).kind(), v1::DEVICE_KIND_SERVER);
}

TEST(Facts, AJetsonAndABoard) {
  HostTree host;
  host.Write("proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\n");
  host.Write("proc/device-tree/model", std::string("NVIDIA Jetson Orin Nano\0", 24));
  host.Write("proc/device-tree/compatible", std::string("nvidia,p3768\0nvidia,tegra234\0", 29));
  v1::DeviceFacts facts = ReadFacts(host.paths());
  EXPECT_EQ(facts.kind(), v1::DEVICE_KIND_JETSON);
  EXPECT_EQ(facts.soc(), "NVIDIA Jetson Orin Nano");
  EXPECT_EQ(facts.cpu_model(), "NVIDIA Jetson Orin Nano");
  EXPECT_EQ(facts.arch(), "aarch64");
  host.Write("proc/device-tree/compatible", std::string("raspberrypi,5\0", 14));
  host.Write("proc/device-tree/model", std::string("Raspberry Pi 5\0", 15));
  facts = ReadFacts(host.paths());
  EXPECT_EQ(facts.kind(), v1::DEVICE_KIND_BOARD);
  EXPECT_EQ(facts.soc(), "Raspberry Pi 5");
}

TEST(Facts, APhone) {
  HostTree host;
  host.Write("system/build.prop", "ro.build.version.release=14\n");
  host.Write("proc/cpuinfo", "processor\t: 0\nHardware\t: Qualcomm SM8550\n");
  const v1::DeviceFacts facts = ReadFacts(host.paths());
  EXPECT_EQ(facts.kind(), v1::DEVICE_KIND_PHONE);
  EXPECT_EQ(facts.os(), "android");
  EXPECT_EQ(facts.os_version(), "Android 14");
  EXPECT_EQ(facts.cpu_model(), "Qualcomm SM8550");
}

TEST(Facts, WhatCannotBeReadIsAbsent) {
  HostTree host;
  const v1::DeviceFacts facts = ReadFacts(host.paths());
  EXPECT_FALSE(facts.has_cpu_model() || facts.has_cores() || facts.has_ram_mib() ||
               facts.has_os_version() || facts.has_kernel() || facts.has_arch() ||
               facts.has_hostname() || facts.has_soc());
  host.Write("proc/meminfo", "MemTotal: lots\n");
  host.Write("proc/cpuinfo", std::string("\xff\xfe\0garbage", 10));
  EXPECT_FALSE(ReadFacts(host.paths()).has_ram_mib());
  host.Write("proc/sys/kernel/hostname", "h\xff\n");
  EXPECT_EQ(ReadFacts(host.paths()).hostname(), "h\\xff") << "protobuf takes only UTF-8";
}

TEST(Facts, ThisHost) {
  const v1::DeviceFacts facts = ReadFacts(HostPaths());
  EXPECT_GE(facts.cores(), 1);
  EXPECT_GT(facts.ram_mib(), 0);
  EXPECT_TRUE(facts.has_kernel() && facts.has_arch());
}

TEST(Governor, OneOrSeveralOrNone) {
  HostTree host;
  EXPECT_FALSE(Governor(host.paths()));
  host.Write("sys/devices/system/cpu/cpufreq/policy0/x", "");
  host.Write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil\n");
  host.Write("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "schedutil\n");
  EXPECT_EQ(Governor(host.paths()), "schedutil");
  host.Write("sys/devices/system/cpu/cpu4/cpufreq/scaling_governor", "performance\n");
  EXPECT_EQ(Governor(host.paths()), "performance,schedutil");
}

}  // namespace
}  // namespace joulefarm::agent
