/**
 * Names an overlay's backing file in the XML of a volume, which the provider can only do for
 * volumes of a libvirt pool. Source: https://libvirt.org/formatstorage.html (backingStore).
 */
import { create } from "xmlbuilder2";

const XSL = "http://www.w3.org/1999/XSL/Transform";

/** The stylesheet that makes a qcow2 volume an overlay on the qcow2 file at a path. */
export function backingStoreXslt(path: string): string {
  const sheet = create({ version: "1.0" }).ele(XSL, "xsl:stylesheet", { version: "1.0" });
  sheet
    .ele(XSL, "xsl:template", { match: "@*|node()" })
    .ele(XSL, "xsl:copy")
    .ele(XSL, "xsl:apply-templates", { select: "@*|node()" });
  const volume = sheet.ele(XSL, "xsl:template", { match: "/volume" }).ele(XSL, "xsl:copy");
  volume.ele(XSL, "xsl:apply-templates", { select: "@*|node()" });
  const backing = volume.ele("backingStore");
  backing.ele("path").txt(path);
  backing.ele("format", { type: "qcow2" });
  return sheet.end({ prettyPrint: true });
}
