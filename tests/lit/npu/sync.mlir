// Between two engines, a value goes with one semaphore ("full"), and the room of a ring's slot comes
// back with another ("free") that starts with the number of slots.
// RUN: npu-opt %s --npu-sync | FileCheck %s

#map = affine_map<()[s0] -> (s0, 0)>
#tile = #npu.access<(d0, d1)[s0] -> (d0 + s0, d1), origin = ()[s0] -> (s0, 0), bounds = [-1, -1], fill = 0.0>

// CHECK-LABEL: func.func @main() attributes {npu.semaphores = array<i64: 0, 2, 0, 2>}
func.func @main() {
  %x = npu.input "x" : memref<8x16xf32, #npu.mem<dram>>
  %y = npu.buffer : memref<8x16xf32, #npu.mem<dram>>
  npu.output %y, "y" : memref<8x16xf32, #npu.mem<dram>>
  %in = npu.buffer {address = 0 : i64, slot_bytes = 64 : i64, slots = 2 : i64}
      : memref<1x16xf32, #npu.mem<spm>>
  %out = npu.buffer {address = 128 : i64, slot_bytes = 64 : i64, slots = 2 : i64}
      : memref<1x16xf32, #npu.mem<spm>>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  // CHECK: scf.for
  scf.for %i = %c0 to %c8 step %c1 {
    // CHECK-NEXT: npu.wait 1 on <load, 0>
    // CHECK-NEXT: npu.advance %[[IN:.*]] on <load, 0>
    // CHECK-NEXT: npu.load
    // CHECK-NEXT: npu.signal 0 on <load, 0>
    npu.load %x[#map] (%i) to %in on <load, 0>
        : memref<8x16xf32, #npu.mem<dram>> -> memref<1x16xf32, #npu.mem<spm>>
    // CHECK-NEXT: npu.wait 0 on <vector, 0>
    // CHECK-NEXT: npu.advance %[[IN]] on <vector, 0>
    // CHECK-NEXT: npu.wait 3 on <vector, 0>
    // CHECK-NEXT: npu.advance %[[OUT:.*]] on <vector, 0>
    // CHECK-NEXT: npu.vector
    npu.vector ins(%in : memref<1x16xf32, #npu.mem<spm>>)
        outs(%out : memref<1x16xf32, #npu.mem<spm>>) ivs(%i) <[1, 16], bounds = [-1, -1],
        starts = ()[s0] -> (s0, 0), reduction = [0, 0], roles = [5, 5]> [#tile, #tile] do {
    ^bb0(%a: f32, %b: f32):
      %0 = arith.negf %a : f32
      npu.yield %0 : f32
    }
    // CHECK: npu.signal {{[12]}} on <vector, 0>
    // CHECK-NEXT: npu.signal {{[12]}} on <vector, 0>
    // CHECK-NEXT: npu.wait 2 on <store, 0>
    // CHECK-NEXT: npu.advance %[[OUT]] on <store, 0>
    // CHECK-NEXT: npu.store
    // CHECK-NEXT: npu.signal 3 on <store, 0>
    npu.store %out to %y[#map] (%i) on <store, 0>
        : memref<1x16xf32, #npu.mem<spm>> -> memref<8x16xf32, #npu.mem<dram>>
  }
  return
}
