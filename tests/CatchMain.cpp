//===- CatchMain.cpp - main() of the Catch2 programs ----------------------===//
//
// Also defines sc_main, which libsystemc refers to when main() is ours.
//
//===----------------------------------------------------------------------===//
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include <cstdlib>

// Weak: the simulator library may bring its own.
extern "C" __attribute__((weak)) int sc_main(int, char **) { return 0; }

int main(int argc, char **argv) {
  setenv("SYSTEMC_DISABLE_COPYRIGHT_MESSAGE", "1", 0);
  return Catch::Session().run(argc, argv);
}
