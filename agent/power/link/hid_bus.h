// The HID interfaces on USB of this host.
//
// Threads: any, one call at a time inside. Ownership: values.
#pragma once

#include <mutex>
#include <vector>

#include "agent/power/link/usb_device.h"

namespace joulefarm::agent {

// Each interface once, in order of its node; the vendor's usage page where it has several. Names
// and serial number are there without the right to open it.
std::vector<UsbDevice> ListHid();

// hidapi keeps its last error in one place for all devices: held while one is opened or listed.
std::mutex& HidapiMutex();

}  // namespace joulefarm::agent
