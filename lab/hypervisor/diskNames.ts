/** The names of a stack's volumes in its pool. */
export const diskNames = {
  /** vda */
  root: "root.qcow2",
  /** vdb */
  test: "test.qcow2",
  /** vdc. Under a name that ends in .iso the provider would attach it as a CD-ROM. */
  cloudInit: "seed.img",
} as const;
