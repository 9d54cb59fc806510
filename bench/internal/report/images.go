package report

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// imageStyle gives a figure outside the page what it takes from the page: colours for light and dark, and a font.
const imageStyle = `<style>svg{color:#333;--grid:#ddd;font-family:sans-serif}` +
	`@media(prefers-color-scheme:dark){svg{color:#ccc;--grid:#444}}</style>`

var viewBox = regexp.MustCompile(`viewBox="0 0 ([0-9.]+) ([0-9.]+)"`)

// writeImages writes every figure to a file of its own beside the page, for documents that show some of them.
func writeImages(dir string, all []chapter) error {
	n := 0
	for _, c := range all {
		for _, f := range c.Figures {
			n++
			name := filepath.Join(dir, fmt.Sprintf("figure-%02d.svg", n))
			if err := os.WriteFile(name, []byte(image(c, f)), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// image returns a figure with title and legend.
func image(c chapter, f figure) string {
	const head, line, perLine, apart = 34, 14, 5, 72
	size := viewBox.FindStringSubmatch(string(f.SVG))
	var width, height float64
	_, _ = fmt.Sscan(size[1], &width)
	_, _ = fmt.Sscan(size[2], &height)
	var legend strings.Builder
	for i, impl := range c.Impls {
		k := colour(impl)
		fmt.Fprintf(&legend, `<text x="%d" y="%.0f" font-size="10" fill="#%02x%02x%02x">%s</text>`,
			10+i%perLine*apart, head+height+line*float64(1+i/perLine), k.R, k.G, k.B, impl)
	}
	total := head + height + line*float64(1+(len(c.Impls)+perLine-1)/perLine)
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f">%s`+
		`<text x="6" y="14" font-size="12" fill="currentColor">%s</text>`+
		`<text x="6" y="28" font-size="10" fill="currentColor">%s</text>`+
		`<g transform="translate(0 %d)">%s</g>%s</svg>`+"\n",
		width, total, 1.4*width, imageStyle, escape(f.Title), escape(f.Sub), head,
		strings.Replace(string(f.SVG), "<svg", fmt.Sprintf(`<svg width="%.0f" height="%.0f"`, width, height), 1), legend.String())
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
