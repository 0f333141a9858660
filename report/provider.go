package report

// providers are the words that servers have for the providers that they stand at.
var providers = map[string]string{
	"alibaba":      "Alibaba Cloud",
	"aws":          "Amazon (AWS)",
	"azure":        "Microsoft Azure",
	"digitalocean": "DigitalOcean",
	"gcp":          "Google Cloud",
	"hetzner":      "Hetzner",
	"linode":       "Linode (Akamai)",
	"openstack":    "a provider with OpenStack",
	"oracle":       "Oracle Cloud",
	"scaleway":     "Scaleway",
	"upcloud":      "UpCloud",
	"vultr":        "Vultr",
}

// Provider is a provider's name as people know it; a word that is not known stays as it is, cleaned.
func Provider(word string) string {
	if name := providers[word]; name != "" {
		return name
	}
	return Clean(word, 60)
}
